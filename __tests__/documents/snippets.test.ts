import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { compile, faultsOf, parseFaults } from './compiler.js'
import { joined } from './joined.js'
import { found, kinds, ofKind, type Found, type Kind } from './kinds.js'
import { root } from './markdown.js'
import { findRecipes } from './recipes.js'
import { secret, workspace } from './workspace.js'

/* Every snippet of every document is run as its reader runs it, or its kind says why not. */

test('every snippet is of a kind that is run, or that says why not', () => {
  expect(found.filter(({ kind }) => !Object.hasOwn(kinds, kind)).map(({ name, kind }) => [name, kind])).toEqual([])
})

test('what another test runs stands where that test finds it', () => {
  const placesOf = (kind: Kind) => ofKind(kind).map(({ document }) => document)
  expect({ install: placesOf('sh install'), sql: placesOf('sql') }).toEqual({
    install: ['README.md'],
    sql: ['docs/rewards.md'],
  })
})

test('what is not run names scripts and files of the repository', () => {
  const lines = ofKind('sh clone').flatMap(({ code }) => code.trim().split('\n'))
  const unknown = lines.filter((line) => {
    const [, file] = /^node (\S+)/.exec(line) ?? []
    return file === undefined ? !/^npm (ci|run|start|test|pack)\b/.test(line) : !existsSync(join(root, file))
  })
  expect(unknown).toEqual([])
})

test('no snippet declares what its reader does not have', () => {
  expect(found.filter(({ code, language }) => language === 'ts' && /^declare\b/m.test(code))).toEqual([])
})

describe('TypeScript in the documents', () => {
  const typed = ofKind('ts', 'ts app', 'ts shop', 'ts test')
  const fileOf = (name: string) => `snippets/${name.replaceAll(/[/:]/g, '-')}.ts`
  const program = compile(
    Object.fromEntries(
      typed.map(({ name, code, mark }) => [fileOf(name), joined(code, mark, '../__tests__/documents/bases')]),
    ),
  )

  test.each(typed.map(({ name }) => name))('%s compiles', (name) => {
    expect(faultsOf(program, fileOf(name))).toEqual([])
  })

  test('a snippet with a fault is found', () => {
    const file = 'snippets/wrong.ts'
    const code = "app.use('/webhook', conversionWebhook({ onSucess: () => 1 }))"
    const wrong = compile({ [file]: joined(code, 'app', '../__tests__/documents/bases') })
    expect(faultsOf(wrong, file).join()).toContain('onSucess')
    expect(parseFaults('const = 1')).not.toEqual([])
  })
})

const inRecipes = new Set(findRecipes().map(({ name }) => name)) // recipes.test.ts runs them, in a shop with orders
const modules = ofKind('ts', 'ts app', 'ts shop', 'js', 'js prisma').filter(({ name }) => !inRecipes.has(name))

const describeAll = hasPostgres ? describe : describe.skip

describeAll('run as printed', () => {
  const folder = workspace()
  let database: Server
  let faultOf: (name: string) => string | undefined
  let url: string

  beforeAll(async () => {
    database = await startServer()
    faultOf = await folder.runAll(modules, { DATABASE_URL: database.url })
    url = await folder.startServer()
  }, 240_000)
  afterAll(async () => {
    folder.remove()
    await database.stop()
  })

  test.each(modules.map(({ name }) => name))('%s', (name) => {
    expect(faultOf(name)).toBeUndefined()
  })

  test.each(ofKind('ts test').map((snippet) => [snippet.name, snippet]))('%s', async (_name, snippet) => {
    expect(await folder.runTests(snippet)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/pass 1\n/) as string,
    })
  })

  test('a file of tests that fail is found', async () => {
    const [{ code, ...snippet }] = ofKind('ts test') as [Found]
    const wrong = { ...snippet, code: code.replace("['anna@", "['berta@") } as Found
    expect(await folder.runTests(wrong)).toMatchObject({ code: 1, output: expect.stringMatching(/berta@/) as string })
  })

  test('a snippet that fails, fails late or makes a handler that fails is found', async () => {
    const wrong = [
      'nobody()',
      'await Promise.reject(new Error("late"))',
      'app.use("/webhook", conversionWebhook({ onSuccess: () => nobody() }))',
    ].map((code, index) => ({
      code,
      mark: 'app',
      language: 'ts',
      line: 0,
      document: '',
      name: String(index),
      kind: 'ts app',
    }))
    const other = workspace()
    const wrongFaultOf = await other.runAll(wrong, {})
    other.remove()
    expect(wrongFaultOf('0')).toContain('nobody is not defined')
    expect(wrongFaultOf('1')).toContain('late')
    expect(wrongFaultOf('2')).toContain('nobody is not defined')
  })

  /** The commands with the addresses and the secret of the test. */
  const here = (code: string) =>
    code.replaceAll(/https?:\/\/(?:shop\.example|(?:localhost|127\.0\.0\.1):3000)/g, url).replaceAll('…', secret)

  test.each(ofKind('sh').map(({ name, code }) => [name, code]))('%s', async (_name, code) => {
    expect(await folder.shell(code)).toMatchObject({ code: 0 })
  })

  test.each(
    ofKind('sh server')
      .filter(({ document }) => document !== 'README.md') // readme.test.ts runs them beside its apps
      .map(({ name, code }) => [name, code]),
  )('%s', async (_name, code) => {
    const { code: exit, output } = await folder.shell(here(code))
    expect({ exit, output }).toMatchObject({
      exit: 0,
      output: expect.not.stringMatching(/^HTTP\/1\.1 [345]/m) as string,
    })
  })

  test.each(ofKind('sh forever').map(({ name, code }) => [name, code]))('%s', async (_name, code) => {
    const commands = here(code).replace('--port 3000', '--port 0')
    const { output } = await folder.shell(commands.replace(/listen\n$/, 'listen --port 0\n'), /inspector/i)
    expect(output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/webhook\//)
    expect(output).toContain('Nothing is lost: start again with the same file.')
  })
})
