// The inspector, loaded in both module formats, with all files of its page; and the command.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { memoryInbox } from 'conversion-webhook'
import * as esm from 'conversion-webhook/inspector'

const cjs = createRequire(import.meta.url)('conversion-webhook/inspector')
for (const { conversionInspector } of [esm, cjs]) {
  const inspector = conversionInspector(memoryInbox(), { authorize: () => true })
  const server = createServer((req, res) => inspector(req, res))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  for (const path of ['', 'page.js', 'page.css']) {
    const response = await fetch(`http://127.0.0.1:${server.address().port}/${path}`)
    assert.equal(response.status, 200, path)
    assert.ok((await response.text()).length > 500, path)
  }
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

const command = (...args) => {
  try {
    return execFileSync(process.execPath, ['node_modules/.bin/conversion-webhook', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  } catch ({ stderr }) {
    return stderr
  }
}
assert.match(command('--help'), /^Usage: conversion-webhook /)
assert.match(command('url', 'https://shop.example/webhook'), /https:\/\/shop\.example\/webhook\/[\w-]{32}\n/)
const listened = command('listen', '--port', '0', '--file', 'no/such/folder.db')
const hasSqlite = process.getBuiltinModule('node:sqlite') !== undefined
assert.match(listened, hasSqlite ? /ERR_CONVERSION_INBOX_UNAVAILABLE/ : /ERR_CONVERSION_NODE_UNSUPPORTED/)
console.log(`the inspector works on ${process.version}`)
