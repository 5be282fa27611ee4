import { allCommands, createProgram } from '../../lib/cli/program.js'
import { checks } from '../../lib/cli/checks.js'
import { cli } from '../support/cli.js'
import { readDocument, sectionOf, sections, snippets } from './markdown.js'

const markdown = readDocument('docs/cli.md')
const nobody = { write: () => true }
const program = createProgram({
  out: nobody,
  err: nobody,
  env: {},
  ask: undefined,
  interrupted: new AbortController().signal,
})

/** The words after the program's name. */
const commands = allCommands(program).map((command) => {
  const words: string[] = []
  for (let at = command; at.parent !== null; at = at.parent) words.unshift(at.name())
  return words
})

test.each(commands)('the help of %s %s stands in docs/cli.md, word for word', async (...words) => {
  const { out } = await cli([...words, '--help'])
  const title = words.length === 0 ? 'All commands' : `conversion-webhook ${words.join(' ')}`
  const [help] = snippets(sectionOf(markdown, title).text)
  expect(help?.code.trim()).toBe(out.trim())
})

test('no section is about a command that is not there', () => {
  const titles = sections(markdown).map(({ title }) => title)
  const documented = titles.filter((title) => title.startsWith('conversion-webhook '))
  expect(documented.sort()).toEqual(
    commands
      .filter((words) => words.length > 0)
      .map((words) => `conversion-webhook ${words.join(' ')}`)
      .sort(),
  )
})

test('the checks of doctor are in its table, in their order', () => {
  const { text } = sectionOf(markdown, 'conversion-webhook doctor')
  const documented = [...text.matchAll(/^\| `([\w-]+)` /gm)].map(([, check]) => check)
  expect(documented).toEqual(['visit', ...Object.keys(checks)])
})
