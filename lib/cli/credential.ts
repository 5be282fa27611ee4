import type { Target } from './target.js'

/** Where a target holds its credential; the same target with a wrong credential, and without one. */
export interface Credential {
  readonly place: 'the path' | 'the query' | 'a header'
  readonly forged: Target
  readonly without: Target
}

/** A last path segment of at least 16 characters, the minimum length of a secret. */
const secretSegment = /\/([^/]{16,})\/?$/
const credentialHeaders = ['authorization', 'x-webhook-secret']

/** Looks for a credential in the places where the webhook does; undefined if there is none. */
export function credentialOf(target: Target): Credential | undefined {
  return inHeader(target) ?? inQuery(target) ?? inPath(target)
}

function inHeader({ url, headers }: Target): Credential | undefined {
  const names = Object.keys(headers).filter((name) => credentialHeaders.includes(name.toLowerCase()))
  if (names.length === 0) return undefined
  const others = Object.entries(headers).filter(([name]) => !names.includes(name))
  const wrong = names.map((name) => [name, forgedHeader(headers[name] ?? '')] as const)
  return {
    place: 'a header',
    forged: { url, headers: Object.fromEntries([...others, ...wrong]) },
    without: { url, headers: Object.fromEntries(others) },
  }
}

function forgedHeader(value: string): string {
  const [, pair] = /^Basic +(.*)$/i.exec(value) ?? []
  if (pair === undefined) return forge(value)
  return `Basic ${Buffer.from(forge(Buffer.from(pair, 'base64').toString())).toString('base64')}`
}

function inQuery({ url, headers }: Target): Credential | undefined {
  const token = url.searchParams.get('token')
  if (token === null) return undefined
  const forged = new URL(url)
  forged.searchParams.set('token', forge(token))
  const without = new URL(url)
  without.searchParams.delete('token')
  return { place: 'the query', forged: { url: forged, headers }, without: { url: without, headers } }
}

function inPath({ url, headers }: Target): Credential | undefined {
  const [, segment] = secretSegment.exec(url.pathname) ?? []
  if (segment === undefined) return undefined
  const forged = new URL(url)
  forged.pathname = url.pathname.replace(secretSegment, `/${forge(segment)}`)
  const without = new URL(url)
  without.pathname = url.pathname.replace(secretSegment, '')
  return { place: 'the path', forged: { url: forged, headers }, without: { url: without, headers } }
}

/** The string with another last character. */
function forge(text: string): string {
  return text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')
}
