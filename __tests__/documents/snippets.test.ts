import { compile, faultsOf, parseFaults } from './compiler.js'
import { documents, readDocument, snippets } from './markdown.js'

const all = documents.flatMap((document) =>
  snippets(readDocument(document)).map((snippet) => ({ document, ...snippet })),
)
const typed = all
  .filter(({ language }) => language === 'ts')
  .map((snippet) => ({
    ...snippet,
    file: `snippets/${snippet.document.replaceAll('/', '-')}-${String(snippet.line)}.ts`,
  }))
const plain = all.filter(({ language }) => language === 'js')

const asModule = (code: string) => `${code}\nexport {}\n`

describe('TypeScript in the documents', () => {
  const program = compile(Object.fromEntries(typed.map(({ file, code }) => [file, asModule(code)])))

  test.each(typed.map(({ document, line, file }) => [document, line, file] as const))(
    '%s line %i compiles',
    (_document, _line, file) => {
      expect(faultsOf(program, file)).toEqual([])
    },
  )
})

test('a snippet with a fault is found', () => {
  const file = 'snippets/wrong.ts'
  const program = compile({ [file]: asModule("app.use('/webhook', conversionWebhook({ onSucess: () => 1 }))") })
  expect(faultsOf(program, file).join()).toContain('onSucess')
  expect(parseFaults('const = 1')).not.toEqual([])
})

test.each(plain.map(({ document, line, code }) => [document, line, code] as const))(
  'JavaScript in %s line %i parses',
  (_document, _line, code) => {
    expect(parseFaults(code)).toEqual([])
  },
)

test('every snippet says what language it is in', () => {
  expect(all.filter(({ language }) => !['ts', 'js', 'sh', 'nginx', 'text'].includes(language))).toEqual([])
})
