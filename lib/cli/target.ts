import { Command } from 'commander'
import { headers, webUrl, wholeNumber } from './arguments.js'
import { usage } from './io.js'

/** Where requests are sent, and the headers that carry the credential, if headers do. */
export interface Target {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
}

export interface TargetOptions {
  readonly user?: string
  readonly header?: Readonly<Record<string, string>>
  readonly timeout: number
}

/** A command that takes a URL and the options for reaching it. */
export function targetCommand(name: string, about: string): Command {
  return new Command(name)
    .argument('<url>', about, webUrl)
    .option('--user <name:password>', 'the secret as password of HTTP Basic')
    .option('--header <line>', 'a header, such as "X-Webhook-Secret: …"; can be repeated', headers)
    .option('--timeout <ms>', 'milliseconds to wait for an answer', wholeNumber(1, 600_000), 10_000)
}

/** Throws if the URL and `--user` both give a user. */
export function targetOf(url: URL, { user, header = {} }: TargetOptions): Target {
  const inUrl = url.username === '' && url.password === '' ? undefined : userOf(url)
  if (user !== undefined && inUrl !== undefined) throw usage('the URL holds a user already: leave out --user')
  const pair = user ?? inUrl
  if (pair !== undefined && !pair.includes(':')) throw usage('--user must be a name, : and a password')
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  bare.hash = ''
  const basic = pair === undefined ? {} : { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
  return { url: bare, headers: { ...basic, ...header } }
}

function userOf({ username, password }: URL): string {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    throw usage('the user and the password in the URL must be percent-encoded as UTF-8')
  }
}

/** The raw query of a URL with `more` appended, and with its `?`. */
export function queryOf({ search }: URL, more: string): string {
  const joined = [search.slice(1), more].filter((part) => part !== '').join('&')
  return joined === '' ? '' : `?${joined}`
}
