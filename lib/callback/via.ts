import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { highBytes } from '../util/decoding.js'
import { endBefore } from '../util/printable.js'

/** Where a right credential stood. `path`: the last segment of the URL's path. `route`: the route parameter `secret`. */
export type CredentialPlace = 'path' | 'route' | 'bearer' | 'basic' | 'header' | 'query'

/** How a callback came. Never whose address it came from. The two strings are a stranger's: `bounded` makes them fit to be kept. */
export interface RequestVia {
  readonly by: 'request'
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly contentType?: string
  readonly userAgent?: string
  /** Absent where no secret is configured. */
  readonly credential?: CredentialPlace
  /** Whether `allowFrom` allowed the address; absent where the option is not set. */
  readonly isFromAllowed?: boolean
}

/** `accept`: the app called `webhook.accept`. */
export type Via = RequestVia | { readonly by: 'accept' }

/** What is kept beside the content of a callback. The ledger never looks at it, and two callbacks that differ in it alone are the same. */
export interface Arrival {
  /** Absent after `prune` and `erase`. */
  readonly via?: Via
  /** Trace context, of at most 512 characters. Nothing sets it yet. */
  readonly carrier?: string
}

const maxContentTypeLength = 128
const maxUserAgentLength = 256

export const acceptVia: Via = { by: 'accept' }

/** How a request came whose method, address and credential were found right. */
export function viaOf(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  credential: CredentialPlace | undefined,
  isFromAllowed: boolean | undefined,
): Via {
  const contentType = asSent(headers['content-type'])
  const userAgent = asSent(headers['user-agent'])
  return {
    by: 'request',
    method: method === 'POST' || method === 'PUT' ? method : 'GET',
    ...(contentType !== undefined && { contentType }),
    ...(userAgent !== undefined && { userAgent }),
    ...(credential !== undefined && { credential }),
    ...(isFromAllowed !== undefined && { isFromAllowed }),
  }
}

/** Node reads the bytes of a header as latin1, and most clients send UTF-8. */
function asSent(header: string | undefined): string | undefined {
  const bytes = header === undefined ? undefined : highBytes(header)
  return bytes && isUtf8(bytes) ? bytes.toString('utf8') : header
}

/** Control characters, characters that change the direction of a line, and halves of surrogate pairs. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** The beginning of a stranger's string, safe to print. */
function beginning(text: string, maxLength: number): string {
  const end = text.length > maxLength ? endBefore(text, maxLength) : maxLength // half an address is not found by erase
  return text.slice(0, end).replace(unprintable, '\ufffd')
}

/** The same with both strings cut and safe to print. After secrets were masked: a secret that is cut in two is found by no mask. */
export function bounded<T extends Arrival>(arrived: T): T {
  const { via } = arrived
  if (via?.by !== 'request') return arrived
  const texts = { contentType: maxContentTypeLength, userAgent: maxUserAgentLength }
  return { ...arrived, via: withTexts(via, (text, name) => beginning(text, texts[name])) }
}

/** The same with the strangers' strings changed. */
export function withTexts(via: Via, change: (text: string, name: 'contentType' | 'userAgent') => string): Via {
  if (via.by === 'accept') return via
  const { contentType, userAgent } = via
  return {
    ...via,
    ...(contentType !== undefined && { contentType: change(contentType, 'contentType') }),
    ...(userAgent !== undefined && { userAgent: change(userAgent, 'userAgent') }),
  }
}

/** Of a callback or what was received, this alone. */
export function arrivalOf({ via, carrier }: Arrival): Arrival {
  return { ...(via && { via }), ...(carrier !== undefined && { carrier }) }
}
