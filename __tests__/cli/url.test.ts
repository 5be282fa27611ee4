import { cli } from '../support/cli.js'

interface Made {
  readonly url: string
  readonly secret: string
  readonly environment: string
}
const make = async (...argv: string[]) => JSON.parse((await cli(['url', ...argv, '--json'])).out) as Made

test('makes a new strong secret each time, and the URL that carries it', async () => {
  const [one, two] = [await make('https://shop.example/webhook/'), await make('https://shop.example/webhook')]
  expect(one.secret).toMatch(/^[\w-]{32}$/) // 24 random bytes
  expect(two.secret).not.toBe(one.secret)
  expect(one.url).toBe(`https://shop.example/webhook/${one.secret}`)
  expect(one.environment).toBe(`CONVERSION_WEBHOOK_SECRET=${one.secret}`)
})

test('without --json it prints the URL and the environment variable, with what to do with them', async () => {
  const { out, exitCode } = await cli(['url', 'https://shop.example/hooks', '--secret', 'a secret / of mine'])
  expect(exitCode).toBe(0)
  expect(out).toContain('\n  https://shop.example/hooks/a%20secret%20%2F%20of%20mine\n')
  expect(out).toContain('\n  CONVERSION_WEBHOOK_SECRET=a secret / of mine\n')
})

test.each(['http://shop.example/webhook', 'http://192.0.2.1/'])('%s gets a warning', async (base) => {
  const { err, exitCode } = await cli(['url', base])
  expect({ err, exitCode }).toEqual({ err: expect.stringContaining('use https') as string, exitCode: 0 })
})

test.each(['https://shop.example', 'http://localhost:3000', 'http://127.0.0.1/x', 'http://[::1]:3000/x'])(
  '%s gets none',
  async (base) => {
    expect((await cli(['url', base])).err).toBe('')
  },
)

test.each([
  ['https://shop.example/webhook?campaign=1', 'must not have a ? or #'],
  ['https://shop.example/webhook#top', 'must not have a ? or #'],
  ['https://me:pass@shop.example/webhook', 'must not hold a user or password'],
])('%s is refused as base', async (base, message) => {
  const { err, exitCode, out } = await cli(['url', base])
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' })
  expect(err).toContain(message)
})

test('refuses a secret of fewer than 16 characters, as the webhook does', async () => {
  expect((await cli(['url', 'https://shop.example', '--secret', 'fifteen letters'])).exitCode).toBe(2)
  expect((await cli(['url', 'https://shop.example', '--secret', 'sixteen letters!'])).exitCode).toBe(0)
})
