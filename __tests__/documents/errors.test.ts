import { faults } from '../../lib/faults.js'
import { documents, prose, readDocument, sections } from './markdown.js'

const markdown = readDocument('docs/errors.md')
const documented = sections(markdown).filter(({ level }) => level === 2)
const codes = Object.entries<{ readonly status?: number; readonly title: string }>(faults)

/** How a section opens: when the code comes, and the words of the table. */
function opening(code: string, { status, title }: { readonly status?: number; readonly title: string }): string {
  const when = code.startsWith('WRN_') ? 'Logged' : status === undefined ? 'Thrown' : `Answered with ${String(status)}`
  return `${when}: "${title}".`
}

test('docs/errors.md has the codes of lib/faults.ts, in the same order, and no others', () => {
  expect(documented.map(({ title }) => title)).toEqual(codes.map(([code]) => code))
})

test.each(codes)('%s says when it comes and what to do', (code, fault) => {
  const [, first, ...rest] = (documented.find(({ title }) => title === code)?.text ?? '').trim().split('\n\n')
  expect(first).toBe(opening(code, fault))
  expect(rest.join(' ').length).toBeGreaterThan(40)
})

test('no document names a code that does not exist', () => {
  const named = documents.flatMap(
    (path) => prose(readDocument(path)).match(/\b(?:ERR|WRN)_CONVERSION_[A-Z_]+\b/g) ?? [],
  )
  expect(named.filter((code) => !Object.hasOwn(faults, code))).toEqual([])
})
