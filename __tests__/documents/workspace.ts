import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { query } from '../support/callbacks.js'
import { temporaryFolder } from '../support/sqlite.js'
import { bases, joined } from './joined.js'
import type { Found } from './kinds.js'
import { readDocument, root } from './markdown.js'

export const secret = 'a-secret-of-the-tests'

/** What the snippets import besides the package. */
const packages = ['express', 'connect', 'morgan', 'supertest', 'pg', 'pg-boss', 'drizzle-orm', 'kysely', 'knex', 'zod']

/** The package as it was built, with an entry that tells `run-snippets.mjs` of the webhooks and of what failed in them. */
const entry = `
import { conversionWebhook as make } from '${join(root, 'dist/esm/index.js')}'
export * from '${join(root, 'dist/esm/index.js')}'
export function conversionWebhook(handlers, ...rest) {
  const { webhooks, failures } = globalThis.snippetRun ?? { webhooks: [], failures: [] }
  const onError = (failure) => (failures.push(failure), handlers.onError?.(failure))
  const webhook = make({ ...handlers, onError }, ...rest)
  webhooks.push(webhook)
  return webhook
}
`

const { exports: subpaths } = JSON.parse(readDocument('package.json')) as { exports: Readonly<Record<string, object>> }

const asModule = (code: string) =>
  ts
    .transpileModule(code, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } })
    .outputText.replaceAll(/(from '\.\/(?:bases\/)?\w+)\.js'/g, "$1.mjs'")

/** A folder with the package in it, in which snippets run. */
export function workspace() {
  const temporary = temporaryFolder()
  const at = (name: string) => temporary.file(name)
  const children = new Set<ChildProcess>()

  function write(name: string, text: string): string {
    const file = at(name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }

  write('package.json', JSON.stringify({ private: true, dependencies: { 'conversion-webhook': '*' } }))
  const modules = join(root, 'node_modules')
  mkdirSync(at('node_modules/.bin'), { recursive: true })
  for (const name of packages) symlinkSync(join(modules, name), at(`node_modules/${name}`))
  const itself = 'node_modules/conversion-webhook'
  write(`${itself}/entry.mjs`, entry)
  symlinkSync(join(root, 'dist'), at(`${itself}/dist`))
  const main = { import: './entry.mjs', require: './dist/cjs/index.js' }
  write(
    `${itself}/package.json`,
    JSON.stringify({ name: 'conversion-webhook', type: 'module', exports: { ...subpaths, '.': main } }),
  )
  const command = write(
    'node_modules/.bin/conversion-webhook',
    `#!/bin/sh\nexec node '${join(root, 'dist/esm/cli.js')}' "$@"\n`,
  )
  chmodSync(command, 0o755) // as npm makes it
  write('server.mjs', server)

  const environment = {
    ...process.env,
    NODE_ENV: 'development',
    NODE_NO_WARNINGS: '1',
    CONVERSION_WEBHOOK_SECRET: secret,
    SECRET_NEW: `${secret}-new`,
    SECRET_OLD: `${secret}-old`,
  }

  /** Runs TypeScript and JavaScript; the faults by the snippet's name, undefined where there is none. */
  async function runAll(list: readonly Found[], more: Readonly<Record<string, string>>) {
    const jobs = list.map(({ name, code, mark, language }, index) => {
      const folder = `snippet-${String(index)}`
      for (const base of bases) {
        write(`${folder}/bases/${base}.mjs`, asModule(readDocument(`__tests__/documents/bases/${base}.ts`)))
      }
      write(`${folder}/callbacks.txt`, query())
      const isCommon = language === 'js' && code.includes('require(')
      const text = isCommon ? code : asModule(joined(code, mark, './bases'))
      return {
        name,
        base: mark !== '',
        folder: at(folder),
        file: write(`${folder}/app.${isCommon ? 'cjs' : 'mjs'}`, text),
      }
    })
    const child = fork(join(__dirname, 'run-snippets.mjs'), [JSON.stringify(jobs)], {
      cwd: at('.'),
      env: { ...environment, ...more },
      execArgv: [],
      silent: true,
    })
    children.add(child)
    let errors = ''
    child.stderr?.on('data', (chunk) => (errors += String(chunk)))
    child.stdout?.resume()
    const faults = new Map<string, string | undefined>()
    child.on('message', ({ name, fault }: { name: string; fault?: string }) => faults.set(name, fault))
    await once(child, 'exit')
    return (name: string) => (faults.has(name) ? faults.get(name) : `it ended the process: ${errors}`)
  }

  /** Runs a file of tests for `node:test`. */
  async function runTests({ name, code }: Found) {
    const file = write(`tests/${name.replaceAll(/\W/g, '-')}/shop.test.mjs`, asModule(code))
    return shell(`cd '${dirname(file)}' && '${process.execPath}' --test shop.test.mjs`)
  }

  /** Starts the webhook on a free port. */
  async function startServer(): Promise<string> {
    const child = fork(at('server.mjs'), [], { cwd: at('.'), env: environment, execArgv: [] })
    children.add(child)
    const [port] = (await once(child, 'message')) as [number]
    return `http://127.0.0.1:${String(port)}`
  }

  /** Runs commands; `seen` ends them by Ctrl-C once it is in what they print. */
  async function shell(commands: string, seen?: RegExp) {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', seen ? `exec env ${commands}` : commands], {
      cwd: at('.'),
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: seen !== undefined, // as at a terminal, Ctrl-C reaches the command and what it started
    })
    children.add(child)
    let output = ''
    const hear = (chunk: unknown) => {
      output += String(chunk)
      if (seen?.test(output) && child.pid !== undefined) {
        seen = undefined
        process.kill(-child.pid, 'SIGINT')
      }
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output }
  }

  return {
    runAll,
    runTests,
    startServer,
    shell,
    remove() {
      for (const child of children) child.kill('SIGKILL')
      temporary.remove()
    },
  }
}

const server = `
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'
const app = express().use('/webhook', conversionWebhook({}))
const listening = app.listen(0, '127.0.0.1', () => process.send(listening.address().port))
`
