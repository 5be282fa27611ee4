import { execFile, execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { sample } from '../support/callbacks.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'
import { readDocument, root, snippets } from './markdown.js'

/*
 * The README as its reader uses it: the packed tarball in an empty folder, nothing but what the README says to paste, and what comes out.
 */
const markdown = readDocument('README.md')
const blocks = snippets(markdown)
const ofKind = (language: string, mark: string) =>
  blocks.filter((block) => block.language === language && block.mark === mark).map(({ code }) => code)
const [app = '', shop = ''] = ofKind('js', '')
const [documented = '', forMoney = ''] = ofKind('sh', 'server')
const [install = ''] = ofKind('sh', 'install')

const temporary = temporaryFolder()
const folder = temporary.file('shop')
const running = new Set<ChildProcessByStdio<null, Readable, Readable>>()

/** Ends what a test started. */
async function endApps() {
  for (const child of running) {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit')
  }
  running.clear()
}

/** Saves a snippet under the name that the README gives it, and runs it; only the port is another. */
async function start(file: string, code: string) {
  writeFileSync(join(folder, file), code)
  writeFileSync(
    join(folder, 'any-port.mjs'),
    `import { Server } from 'node:net'
     const { listen } = Server.prototype
     Server.prototype.listen = function (port) {
       return listen.call(this, 0, () => console.log('port', port, 'is', this.address().port))
     }`,
  )
  const env = { ...process.env, NODE_ENV: 'development', CONVERSION_WEBHOOK_SECRET: undefined }
  const child = spawn(process.execPath, ['--import', './any-port.mjs', file], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const printed = { out: '', err: '' }
  child.stdout.on('data', (chunk) => (printed.out += String(chunk)))
  child.stderr.on('data', (chunk) => (printed.err += String(chunk)))
  const seen = async (text: string) => {
    while (!printed.out.includes(text)) {
      if (child.exitCode !== null) throw new Error(printed.err)
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    }
  }
  await seen('port 3000 is')
  const port = /port 3000 is (\d+)/.exec(printed.out)?.[1] ?? ''
  const paste = async (command: string) => {
    const { stdout } = await promisify(execFile)('bash', ['-c', command.replace('localhost:3000', `localhost:${port}`)])
    return stdout
  }
  return { paste, seen, printed }
}

const describeReadme = hasSqlite ? describe : describe.skip

describeReadme('the README in an empty folder', () => {
  beforeAll(() => {
    const clone = temporary.file('conversion-webhook')
    for (const path of [clone, folder]) mkdirSync(path)
    const env = {
      ...process.env,
      npm_config_prefer_offline: 'true',
      npm_config_audit: 'false',
      npm_config_fund: 'false',
    }
    execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', clone], { cwd: root, env, stdio: 'ignore' })
    execFileSync('bash', ['-c', install], { cwd: folder, env, stdio: 'ignore' })
  }, 180_000)
  afterEach(endApps)
  afterAll(() => temporary.remove())

  test('the first app prints the documented callback as the README shows, once', async () => {
    const { paste, seen, printed } = await start('app.mjs', app)
    expect(await paste(documented)).toBe('{"outcome":"accepted"}')
    expect(await paste(documented)).toBe('{"outcome":"duplicate"}')
    const [shown = ''] = (ofKind('text', '')[0] ?? '').split('  …')
    await seen('repairs: []')
    expect(printed.out).toContain(shown)
    expect(printed.out.match(/status: 'success'/g)).toHaveLength(1)
    expect(printed.err).toContain('WRN_CONVERSION_SECRET_MISSING')
  })

  test('the shop books the reward of its dummy order, once, also after a restart', async () => {
    const line = /prints `(order 7001[^`]+)`/.exec(markdown)?.[1] ?? 'no line'
    const first = await start('shop.mjs', shop)
    expect(await first.paste(forMoney)).toBe('{"outcome":"accepted"}')
    await first.seen(line)
    expect(await first.paste(forMoney)).toBe('{"outcome":"duplicate"}')
    expect(first.printed.out.split(line)).toHaveLength(2)
    await endApps()
    const second = await start('shop.mjs', shop)
    expect(await second.paste(forMoney)).toBe('{"outcome":"duplicate"}')
    expect(second.printed.out).not.toContain(line)
  })
})

test('the callback to paste is the documented example', () => {
  const [, url = ''] = /curl "(http[^"]+)"/.exec(documented) ?? []
  expect(Object.fromEntries(new URL(url).searchParams)).toEqual(sample)
})

test('is a landing page: at most 150 lines', () => {
  expect(markdown.trimEnd().split('\n').length).toBeLessThanOrEqual(150)
})

test('the first snippet says which of the two events to register', () => {
  expect(app).toContain('One callback can fire success *and* goalComplete')
})

test('the two commands and the picture come before anything else to read', () => {
  const before = markdown.slice(0, markdown.indexOf('\n## '))
  for (const part of ['npm ci && npm start -- --demo', 'npm ci && npm test', 'docs/images/inspector-light.png']) {
    expect(before).toContain(part)
  }
})
