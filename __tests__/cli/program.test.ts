import { cli } from '../support/cli.js'

test.each([
  [['frob'], "unknown command 'frob'"],
  [['url'], "missing required argument 'base'"],
  [['url', 'ftp://shop.example'], 'Expected a URL that begins with https:// or http://.'],
  [['send', 'http://127.0.0.1', '--burst', '1e3'], 'Expected a whole number from 1 to 1000000.'],
  [['send', 'http://127.0.0.1', '--set', 'orderID'], 'Expected a name, = and a value.'],
  [['send', 'http://127.0.0.1', '--header', ': x'], 'Expected a name, : and a value.'],
  [['send', 'http://127.0.0.1', '--header', 'Größe: 1'], 'a character that HTTP headers cannot hold'],
  [['send', 'http://127.0.0.1', '--header', 'X-Size: 7\u0007'], 'a character that HTTP headers cannot hold'],
  [['send', 'http://127.0.0.1', '--statu', 'fail'], "unknown option '--statu' (Did you mean --status?)"],
  [['send', 'http://127.0.0.1', '--status', 'good'], 'Allowed choices are success, fail, pending, mixed.'],
  [['send', 'http://127.0.0.1', '--broken', 'leg'], 'Allowed choices are no-status, '],
  [['send', 'http://127.0.0.1', '--format', 'json'], 'a GET has no body: add --method POST'],
  [['send', 'http://127.0.0.1', '--user', 'nobody'], '--user must be a name, : and a password'],
  [['send', 'http://a:b@127.0.0.1', '--user', 'a:b'], 'the URL holds a user already: leave out --user'],
  [['inbox', 'list'], "missing required argument 'storage'"],
  [['inbox', 'erase', 'x.db', '--email', 'nobody'], 'Expected an e-mail address.'],
  [['inbox', 'prune', 'x.db'], "required option '--older-than-days <n>' not specified"],
])('%j is wrong usage: one line, exit code 2', async (argv, message) => {
  const { exitCode, out, err } = await cli(argv)
  expect(exitCode).toBe(2)
  expect(out).toBe('')
  expect(err).toMatch(/^conversion-webhook: .+\n$/)
  expect(err).toContain(message)
})

test('without a command the help is printed, and the exit code is that of wrong usage', async () => {
  const { exitCode, err } = await cli([])
  expect(exitCode).toBe(2)
  expect(err).toContain('Usage: conversion-webhook [options] [command]')
})

test.each([[['--help']], [['listen', '--help']], [['inbox', '--help']], [['inbox', 'erase', '--help']]])(
  '%j prints help and exits with 0',
  async (argv) => {
    const { exitCode, out, err } = await cli(argv)
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' })
    expect(out).toContain(`Usage: conversion-webhook ${argv.slice(0, -1).join(' ')}`.trim())
  },
)

describe('colours', () => {
  const escape = '\x1b['
  const argv = ['url', 'https://shop.example/webhook']
  test.each([
    ['at a terminal', { isTerminal: true }, true],
    ['elsewhere', { isTerminal: false }, false],
    ['with NO_COLOR', { isTerminal: true, env: { NO_COLOR: '1' } }, false],
    ['with an empty NO_COLOR', { isTerminal: true, env: { NO_COLOR: '' } }, true],
    ['at a dumb terminal', { isTerminal: true, env: { TERM: 'dumb' } }, false],
  ])('%s: %p', async (_name, setting, areShown) => {
    expect((await cli(argv, setting)).out.includes(escape)).toBe(areShown)
  })
})
