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
  return { url: bare, headers: { ...(pair !== undefined && { Authorization: basic(pair) }), ...header } }
}

function userOf({ username, password }: URL): string {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    throw usage('the user and the password in the URL must be percent-encoded as UTF-8')
  }
}

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/** A last path segment of at least 16 characters, the minimum length of a secret. */
const secretSegment = /\/([^/]{16,})\/?$/

/**
 * Looks for a credential in the places where the webhook does; undefined if there is none. Returns the place, and the same target with a
 * wrong credential, and without one.
 */
export function credentialOf({ url, headers }: Target) {
  const isCredential = (name: string): boolean => ['authorization', 'x-webhook-secret'].includes(name.toLowerCase())
  const all = Object.entries(headers)
  const others = all.filter(([name]) => !isCredential(name))
  if (others.length < all.length) {
    const forged = all.map(([name, value]) => [name, isCredential(name) ? forgeHeader(value) : value] as const)
    const withHeaders = (entries: typeof forged): Target => ({ url, headers: Object.fromEntries(entries) })
    return { place: 'a header', forged: withHeaders(forged), without: withHeaders(others) }
  }
  const token = url.searchParams.get('token')
  if (token !== null) {
    const [forged, without] = [new URL(url), new URL(url)]
    forged.searchParams.set('token', forge(token))
    without.searchParams.delete('token')
    return { place: 'the query', forged: { url: forged, headers }, without: { url: without, headers } }
  }
  const [, segment] = secretSegment.exec(url.pathname) ?? []
  if (segment === undefined) return undefined
  const [forged, without] = [new URL(url), new URL(url)]
  forged.pathname = url.pathname.replace(secretSegment, `/${forge(segment)}`)
  without.pathname = url.pathname.replace(secretSegment, '')
  return { place: 'the path', forged: { url: forged, headers }, without: { url: without, headers } }
}

function forgeHeader(value: string): string {
  const [, pair] = /^Basic +(.*)$/i.exec(value) ?? []
  return pair === undefined ? forge(value) : basic(forge(Buffer.from(pair, 'base64').toString()))
}

/** The string with another last character. */
function forge(text: string): string {
  return text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')
}
