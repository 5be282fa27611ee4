import { randomBytes } from 'node:crypto'
import { Command } from 'commander'
import { isLoopback } from '../inspector/local.js'
import { webUrl } from './arguments.js'
import { painter, print, printJson, usage, type Io } from './io.js'

const minSecretLength = 16

export function urlCommand(io: Io): Command {
  return new Command('url')
    .summary('make a secret, and the URL for the campaign')
    .description(
      'Makes a secret, and prints the URL to paste into the campaign and the environment variable for the app.',
    )
    .argument('<base>', 'where the webhook is mounted, such as https://shop.example/webhook', webUrl)
    .option('--secret <text>', 'an existing secret of at least 16 characters')
    .option('--json', 'print JSON: url, secret, environment')
    .action((base: URL, { secret: given, json }: { secret?: string; json?: true }) => {
      if (base.search !== '' || base.hash !== '') throw usage('the base must not have a ? or #')
      if (base.username !== '' || base.password !== '')
        throw usage('the base must not hold a user or password: the secret is added to its path')
      if (given !== undefined && given.length < minSecretLength)
        throw usage('a secret must have at least 16 characters')
      const secret = given ?? randomBytes(24).toString('base64url')
      const url = `${base.href.replace(/\/+$/, '')}/${encodeURIComponent(secret)}`
      const environment = `CONVERSION_WEBHOOK_SECRET=${secret}`
      const danger = 'over http anybody between sender and app can read the secret and the customer data; use https.'
      if (base.protocol === 'http:' && !isLoopback(base.hostname)) print(io.err, `Warning: ${danger}`)
      const paint = painter(io.out, io.env)
      if (json) printJson(io.out, { url, secret, environment })
      else
        print(
          io.out,
          'Paste into the webhook field of the campaign:',
          `\n  ${paint('bold', url)}\n`,
          'Put into the environment of the app:',
          `\n  ${paint('bold', environment)}\n`,
          'Anybody who has the secret can report conversions: store it like a password.',
        )
    })
}
