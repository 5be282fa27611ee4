import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/*
 * Packs the package, installs it into apps of both module formats and both versions of Express, loads it, and checks the apps' types.
 */
const root = join(__dirname, '../..')
const temporary = mkdtempSync(join(tmpdir(), 'conversion-webhook-pack-'))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

interface Packed {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}
let packed: Packed

function run(file: string, args: readonly string[], cwd: string): string {
  return execFileSync(file, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function npm(cwd: string, ...args: string[]): string {
  return run(
    'npm',
    [...args, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    cwd,
  )
}

/** Creates an app with the samples as its files, and installs the given packages and then the packed one. */
function makeApp(name: string, ...packages: string[]) {
  const folder = join(temporary, name)
  cpSync(join(__dirname, 'samples'), folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  npm(folder, 'install', ...packages)
  const before = installed(folder)
  npm(folder, 'install', join(temporary, packed.filename))
  return { folder, added: installed(folder).filter((path) => !before.includes(path)) }
}

function installed(folder: string): string[] {
  const lock = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8')) as { packages: object }
  return Object.keys(lock.packages)
}

function bytesOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0)
}

/** The Node that runs this test, and the machine's own if it is another version. */
function nodes(): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  const machine = folders.map((folder) => join(folder, 'node')).find((file) => existsSync(file))
  return machine === undefined ? [process.execPath] : [process.execPath, machine]
}

function typeErrors(
  folder: string,
  module: string,
  moduleResolution: string,
  sample = 'types.ts',
  ...more: readonly string[]
): string {
  const options = [
    ...more,
    '--strict',
    '--noEmit',
    '--exactOptionalPropertyTypes',
    '--target',
    'es2022',
    '--types',
    'node',
  ]
  try {
    return run(
      process.execPath,
      [tsc, ...options, '--module', module, '--moduleResolution', moduleResolution, sample],
      folder,
    )
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

beforeAll(() => {
  if (!existsSync(join(root, 'dist/esm/index.js'))) throw new Error('dist is missing: run `npm run build` first.')
  const output = npm(root, 'pack', '--json', '--pack-destination', temporary)
  const parsed = JSON.parse(output) as Packed[] | Record<string, Packed>
  const [first] = Object.values(parsed)
  if (first === undefined) throw new Error('npm pack made nothing')
  packed = first
}, 60_000)

afterAll(() => {
  rmSync(temporary, { recursive: true, force: true })
})

describe('the packed package', () => {
  test('is at most 350 KB and holds only the built files and the documents', () => {
    expect(packed.size).toBeLessThanOrEqual(350_000)
    const paths = packed.files.map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist/esm/index.js', 'dist/cjs/index.d.ts']))
    expect(
      paths.filter((path) => !/^(dist|docs)\/|^(LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(path)),
    ).toEqual([])
  })

  test('has readable code, except for the page of the inspector', () => {
    const code = packed.files.map(({ path }) => path).filter((path) => /^dist\/(?!page\/).*\.js$/.test(path))
    expect(code).toEqual(expect.arrayContaining(['dist/cjs/index.js', 'dist/cjs/sqlite.js', 'dist/esm/cli.js']))
    for (const path of code) {
      const lines = readFileSync(join(root, path), 'utf8').split('\n')
      // Node prints the throwing line of an uncaught error, so lines must be short.
      expect(lines.filter((line) => line.length > 200 && line.includes('throw '))).toEqual([])
      expect([path, lines.filter((line) => line.length > 1_000)]).toEqual([path, []])
      if (lines.length > 100) expect([path, lines.some((line) => line.startsWith('/** '))]).toEqual([path, true])
    }
  })
})

describe('installed beside Express 5', () => {
  let app: ReturnType<typeof makeApp>
  beforeAll(() => {
    app = makeApp('express5', 'express@5', '@types/express@5', '@types/node@20', 'expect-type')
  }, 180_000)

  test('adds at most 10 packages and 3 MB', () => {
    const bytes = app.added.reduce((sum, path) => sum + bytesOf(join(app.folder, path)), 0)
    expect(app.added.length).toBeLessThanOrEqual(10)
    expect(bytes).toBeLessThanOrEqual(3_000_000)
  })

  test.each(['require.cjs', 'import.mjs', 'sqlite.mjs', 'tools.mjs'])('%s runs on every Node here', (sample) => {
    for (const node of nodes()) expect(run(node, [sample], app.folder)).toContain('works on')
  })

  test.each([
    ['option', 'requireOptions'],
    ['arguments', 'checkHandlers'],
    ['schema', 'compileSchema'],
    ['value', 'resolveFields'],
    ['address', 'addressMatcher'],
    ['folder', 'sqliteInbox'],
    ['pool', 'postgresInbox'],
    ['inspector', 'conversionInspector'],
  ])('a wrong %s ends the app with at most a screen of output that names the place', (wrong, place) => {
    const { status, stderr } = spawnSync(process.execPath, ['wrong.mjs', wrong], { cwd: app.folder, encoding: 'utf8' })
    const lines = stderr.split('\n')
    expect([status, lines.length > 40, lines.filter((line) => line.length > 200)]).toEqual([1, false, []])
    expect(stderr).toMatch(
      new RegExp(`ConversionWebhookError: .*[^]* at (?:Object\\.)?${place} \\(.*/dist/cjs/\\w+\\.js:\\d+:\\d+\\)`),
    )
  })

  test.each([
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])(
    'types hold under module %s, resolution %s',
    (module, resolution) => {
      expect(typeErrors(app.folder, module, resolution)).toBe('')
    },
    60_000,
  )
})

describe('installed beside Express 4', () => {
  let app: ReturnType<typeof makeApp>
  beforeAll(() => {
    app = makeApp('express4', 'express@4', '@types/express@4', '@types/node@24', 'expect-type')
  }, 180_000)

  test('runs, and its types are correct', () => {
    expect(run(process.execPath, ['import.mjs'], app.folder)).toContain('works on')
    expect(typeErrors(app.folder, 'nodenext', 'nodenext')).toBe('')
  }, 60_000)

  test('the types of the durable inboxes are correct without any other package', () => {
    expect(typeErrors(app.folder, 'nodenext', 'nodenext', 'durable.ts')).toBe('')
    expect(typeErrors(app.folder, 'esnext', 'bundler', 'durable.ts')).toBe('')
  }, 60_000)
})

describe('installed beside libraries of pg', () => {
  test('the client of commit fits them', () => {
    const libraries = ['pg@8', '@types/pg@8', 'drizzle-orm', 'kysely', 'knex']
    const { folder } = makeApp(
      'libraries',
      'express@5',
      '@types/express@5',
      '@types/node@24',
      'expect-type',
      ...libraries,
    )
    // The declarations of these libraries import packages that are not installed.
    expect(typeErrors(folder, 'nodenext', 'nodenext', 'libraries.ts', '--skipLibCheck')).toBe('')
    expect(typeErrors(folder, 'esnext', 'bundler', 'libraries.ts', '--skipLibCheck')).toBe('')
  }, 240_000)
})
