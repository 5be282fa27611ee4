import type { IncomingMessage } from 'node:http'
import { MIMEType } from 'node:util'
import { debug } from '../debug.js'
import { ConversionWebhookError } from '../errors.js'
import { bytesDecoder, componentDecoder, decodeBytes, escapeHighBytes, type Decoded } from '../util/decoding.js'
import { jsonEntries } from './json.js'
import { digestOf, limitWhole, maxBytes, readQuery, unkept, type WireNames } from './params.js'
import { distinctRepairs, type Received } from './received.js'
import type { WebhookRequest } from './route.js'
import { entriesOf, readValues } from './values.js'

/**
 * Reads a request: the query of a GET, or the body of a POST or PUT with the unknown parameters of its query. A body without any of the ten
 * parameters gives way to the query, since some senders POST with a query; a body that cannot be read does not, since it may hold them.
 * Undefined for a GET without any of the ten: somebody visits the URL.
 */
export function readRequest(
  req: WebhookRequest,
  query: Received,
  wireNames: WireNames,
): Received | undefined | Promise<Received | undefined> {
  if (req.method !== 'GET') return readWithBody(req, query, wireNames)
  return holdsAny(query, wireNames) || query.issues.length > 0 ? query : undefined
}

function holdsAny({ pairs }: Received, wireNames: WireNames): boolean {
  return pairs.some(([name]) => wireNames.has(name))
}

async function readWithBody(req: WebhookRequest, query: Received, wireNames: WireNames): Promise<Received | undefined> {
  if (query.digest !== undefined) return query // the query alone is beyond the limits
  const body = await readBody(req, wireNames)
  if (body === undefined) return query
  if (body.digest !== undefined) return body
  const givesWay = body.issues.length === 0 && !holdsAny(body, wireNames)
  const [main, other] = givesWay && holdsAny(query, wireNames) ? [query, body] : [body, query]
  const isExtra = (name: string) => !wireNames.has(name)
  return limitWhole({
    pairs: [...main.pairs, ...other.pairs.filter(([name]) => isExtra(name) && name !== '')],
    issues: main.issues,
    ...((main.untyped ?? other.untyped) && { untyped: { ...other.untyped, ...main.untyped } }),
    repairs: distinctRepairs([
      ...main.repairs,
      ...other.repairs.filter(({ parameter, kind }) => kind === 'charset' && isExtra(parameter)),
    ]),
  })
}

/** Milliseconds until the whole body must have arrived. Every known sender writes the body at once. */
const bodyTimeoutMs = 10_000

/**
 * Reads the parameters of a body: from `req.body` if a parser ran before, else from the stream. Undefined if there is no body; a stream that
 * somebody has consumed is none, so that the request never hangs. Throws `ERR_CONVERSION_BODY_…` and `ERR_CONVERSION_TYPE_UNSUPPORTED`.
 * @internal
 */
export async function readBody(
  req: IncomingMessage & { body?: unknown },
  wireNames: WireNames,
  timeoutMs = bodyTimeoutMs,
): Promise<Received | undefined> {
  const { body } = req
  if (typeof body === 'string' || body instanceof Uint8Array) {
    if (body.length > maxBytes) throw new ConversionWebhookError('ERR_CONVERSION_BODY_OVERSIZED') // before it is copied
    if (typeof body === 'string') return parseBody(req, Buffer.from(body, 'utf8'), wireNames, 'utf-8')
    return parseBody(req, Buffer.from(body), wireNames)
  }
  if (typeof body === 'object' && body !== null && Object.keys(body).length > 0) {
    debug.body('parsed before us')
    return readValues(entriesOf(body), wireNames, { source: bodyTypeOf(req.headers['content-type'])?.form ?? 'json' })
  }
  const declared = Number(req.headers['content-length'] ?? 0)
  if (req.readableDidRead || req.readableEnded) {
    debug.body('consumed before us')
    return undefined
  }
  if (req.destroyed) {
    if (declared === 0 && req.headers['transfer-encoding'] === undefined) return undefined // there is no body
    throw new ConversionWebhookError('ERR_CONVERSION_BODY_ABORTED')
  }
  if (declared > maxBytes) throw new ConversionWebhookError('ERR_CONVERSION_BODY_OVERSIZED')
  if (declared > 0) requireType(req) // checked before the body arrives
  const bytes = await readStream(req, timeoutMs)
  const encoding = req.headers['content-encoding'] ?? 'identity'
  if (bytes.length > 0 && encoding !== 'identity') throw unsupported('a compressed body')
  return parseBody(req, bytes, wireNames)
}

/** Reads the stream to its end; throws if it is longer than `maxBytes`. */
async function readStream(req: IncomingMessage, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (error?: ConversionWebhookError): void => {
      clearTimeout(timer)
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
      if (error === undefined) {
        resolve(Buffer.concat(chunks))
        return
      }
      req.on('error', () => undefined) // the request is settled; a later error of the connection must not be unhandled
      req.resume() // discards the rest of the body: most clients read the answer only after they have sent all
      reject(error)
    }
    const onData = (chunk: Buffer | string): void => {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > maxBytes) settle(new ConversionWebhookError('ERR_CONVERSION_BODY_OVERSIZED'))
      else chunks.push(bytes)
    }
    const onEnd = (): void => {
      settle()
    }
    const onClose = (): void => {
      settle(new ConversionWebhookError('ERR_CONVERSION_BODY_ABORTED'))
    }
    const timer = setTimeout(() => {
      settle(new ConversionWebhookError('ERR_CONVERSION_BODY_LATE', { headers: { Connection: 'close' } }))
    }, timeoutMs)
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
    req.resume() // other middleware may have paused the stream
  })
}

function parseBody(req: IncomingMessage, bytes: Buffer, wireNames: WireNames, decodedAs?: string) {
  if (bytes.length === 0) return undefined
  if (bytes.length > maxBytes) throw new ConversionWebhookError('ERR_CONVERSION_BODY_OVERSIZED')
  const { form, charset } = requireType(req)
  debug.body('%s, %d bytes', form, bytes.length)
  return (form === 'json' ? parseJson : parseForm)(bytes, decodedAs ?? charset, wireNames)
}

function parseForm(bytes: Buffer, charset: string, wireNames: WireNames): Received {
  const decode = componentDecoder(charset)
  if (decode === undefined) throw unsupported('a form in an unknown charset')
  return readQuery(escapeHighBytes(bytes.toString('latin1')), wireNames, { decode, sent: bytes })
}

function parseJson(bytes: Buffer, charset: string, wireNames: WireNames): Received {
  const decode = bytesDecoder(charset)
  if (decode === undefined) throw unsupported('JSON in an unknown charset')
  const text = decode(bytes)
  try {
    if (text !== undefined) return readValues(jsonEntries(text), wireNames, { sent: bytes })
    // If the bytes do not fit the charset, each byte becomes a character, so that each value is repaired or refused by itself.
    return readValues(jsonEntries(bytes.toString('latin1')), wireNames, { decode: decodeLatin1, sent: bytes })
  } catch {
    // The body is not kept: it may hold a secret in an encoding in which no mask finds it.
    return unkept({ rule: 'syntax', message: 'the body is not valid JSON' }, digestOf(bytes))
  }
}

/** Decodes a string whose characters are bytes. A string with other characters, from escapes of JSON, stays as it is. */
function decodeLatin1(text: string): Decoded {
  return /[^\u0000-\u00ff]/.test(text) ? { text, damaged: false } : decodeBytes(Buffer.from(text, 'latin1'))
}

function requireType(req: IncomingMessage): BodyType {
  const type = bodyTypeOf(req.headers['content-type'])
  if (type === undefined) throw unsupported('another content type')
  return type
}

function unsupported(what: string): ConversionWebhookError {
  debug.body('refused: %s', what)
  return new ConversionWebhookError('ERR_CONVERSION_TYPE_UNSUPPORTED')
}

interface BodyType {
  readonly form: 'form' | 'json'
  readonly charset: string
}

/** Longer than any real content type. The time of Node's parser of content types is quadratic in the blanks. */
const maxTypeLength = 256

/** How to read a body of this content type; undefined if the type is not supported. @internal */
export function bodyTypeOf(contentType = ''): BodyType | undefined {
  if (contentType.length > maxTypeLength) return undefined
  let type: MIMEType
  try {
    type = new MIMEType(contentType)
  } catch {
    return undefined
  }
  const charset = type.params.get('charset') ?? 'utf-8'
  if (type.essence === 'application/x-www-form-urlencoded') return { form: 'form', charset }
  const isJson = type.essence === 'application/json' || type.essence === 'text/json' || type.subtype.endsWith('+json')
  return isJson ? { form: 'json', charset } : undefined
}
