import { faults } from '../../lib/faults.js'
import { documents, prose, readDocument, sectionOf, sections, type Section } from './markdown.js'

const markdown = readDocument('docs/errors.md')
const codes = Object.entries<{ readonly status?: number; readonly title: string }>(faults)
const groups = ['Thrown', 'Answered', 'Logged']

const isCode = ({ level }: Section) => level === 3
const documented = sections(markdown).filter(isCode)

/** The group of a code on the page. */
function groupOf(code: string, status: number | undefined): string {
  if (code.startsWith('WRN_')) return 'Logged'
  return status === undefined ? 'Thrown' : 'Answered'
}

test('docs/errors.md has the codes of lib/faults.ts, in the same order, and no others', () => {
  expect(documented.map(({ title }) => title)).toEqual(codes.map(([code]) => code))
})

test.each(groups)('the codes under %s are those that come this way', (group) => {
  const titles = sections(sectionOf(markdown, group).text)
    .filter(isCode)
    .map(({ title }) => title)
  expect(titles).toEqual(codes.filter(([code, { status }]) => groupOf(code, status) === group).map(([code]) => code))
})

test.each(codes)('%s says when it comes and what to do', (code, { status, title }) => {
  const paragraphs = (documented.find((section) => section.title === code)?.text ?? '').trim().split('\n\n').slice(1)
  // The title of an answer is what its caller sees.
  if (status !== undefined) expect(paragraphs.shift()).toBe(`${String(status)}: "${title}".`)
  expect(paragraphs.join(' ').length).toBeGreaterThan(40)
})

test('no document names a code that does not exist', () => {
  const named = documents.flatMap(
    (path) => prose(readDocument(path)).match(/\b(?:ERR|WRN)_CONVERSION_[A-Z_]+\b/g) ?? [],
  )
  expect(named.filter((code) => !Object.hasOwn(faults, code))).toEqual([])
})
