import { maxBytes, maxParameters } from '../../lib/callback/params.js'
import { minSecretLength } from '../../lib/callback/credentials.js'
import { callbackSchema, parameterNames } from '../../lib/callback/schema.js'
import { resolveOptions } from '../../lib/options.js'
import { publicSurface } from './compiler.js'
import { readDocument, sectionOf, sections, snippets } from './markdown.js'

const markdown = readDocument('docs/reference.md')
const { names, membersOf } = publicSurface()
const options = membersOf('ConversionWebhookOptions')
const isType = (name: string) => /^[A-Z]/.test(name) && name !== 'ConversionWebhookError'

/** Whether a text holds a name as code. */
function expectNamed(text: string, name: string): void {
  expect(text).toMatch(new RegExp(`\`\\.?${name}[(\`]`))
}

test.each(names.filter((name) => !isType(name)))('the export %s has a section', (name) => {
  const titles = sections(sectionOf(markdown, 'Exports').text).map(({ title }) => title.replace(/[`]|\(.*/g, ''))
  expect(titles).toContain(name)
})

test.each(names.filter(isType))('the type %s is listed', (name) => {
  expectNamed(sectionOf(markdown, 'Types').text, name)
})

test('the options of the type are documented, all of them and no others', () => {
  const documented = sections(sectionOf(markdown, 'Options').text).filter(({ level }) => level === 3)
  expect(documented.map(({ title }) => title.replaceAll('`', '')).sort()).toEqual([...options].sort())
})

test.each(options)('the option %s says type and default', (option) => {
  expect(sectionOf(markdown, option).text).toMatch(/^Type: .+ Default: .+/m)
})

/** Options whose example would show nothing but the name and a value. */
const plain = ['scrubUrl', 'handlerTimeoutMs', 'maxAttempts', 'concurrency', 'maxHoldMs', 'closeTimeoutMs']

test.each(options.filter((option) => !plain.includes(option)))('the option %s has an example', (option) => {
  const examples = snippets(sectionOf(markdown, option).text)
  expect(examples.map(({ language }) => language)).toEqual(['ts'])
  expect(examples[0]?.code).toContain(option)
})

describe('defaults', () => {
  const unheard = (): never => {
    throw new Error('nothing to tell')
  }
  const reporter = { refused: unheard, conflict: unheard, dead: unheard, error: unheard, warn: unheard }
  const settings = resolveOptions({ secret: false }, reporter)
  const withNumbers = Object.entries(settings).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  )

  test.each(withNumbers)('%s is %i', (option, fallback) => {
    expect(sectionOf(markdown, option).text).toContain(`Default: ${fallback.toLocaleString('en-US')}`)
  })

  test.each(['respond', 'scrubUrl'] as const)('%s is true', (option) => {
    expect(settings[option]).toBe(true)
    expect(sectionOf(markdown, option).text).toContain('Default: `true`')
  })
})

test.each([
  ...membersOf('ConversionHandlers').map((name) => [
    /^on(Success|Fail|Pending|GoalComplete)$/.test(name) ? 'Handlers' : 'Observers',
    name,
  ]),
  ...membersOf('ConversionContext').map((name) => ['Context', name]),
  ...membersOf('ConversionWebhook').map((name) => ['Exports', name]),
  ...membersOf('ParseOptions').map((name) => ['Exports', name]),
] as [string, string][])('%s names %s', (section, name) => {
  expectNamed(sectionOf(markdown, section).text, name)
})

test.each(membersOf('Conversion'))('the field %s of a conversion is documented', (field) => {
  expect(sectionOf(markdown, 'Conversion').text).toMatch(new RegExp(`\`${field}[.\`]`))
})

test('the ten parameters have their rules', () => {
  const { text } = sectionOf(markdown, 'Parameters')
  for (const name of parameterNames) expectNamed(text, name)
})

test('limits are those of the code', () => {
  const { text } = sectionOf(markdown, 'Parameters')
  const numbers = Object.values(callbackSchema.properties).flatMap(
    ({ description }) => description.match(/\b\d{2,}\b/g) ?? [],
  )
  const examples = ['1000', '12', '30'] // what the message about purchaseValue shows
  for (const number of numbers.filter((each) => !examples.includes(each))) {
    expect(text).toContain(BigInt(number).toLocaleString('en-US'))
  }
  expect(text).toContain(
    `At most ${maxParameters.toLocaleString('en-US')} parameters and ${String(maxBytes / 1024)} KiB`,
  )
  expect(sectionOf(markdown, 'secret').text).toContain(`at least ${String(minSecretLength)} characters`)
})
