/*
 * The floor of bench/http.mjs and bench/process.mjs: a recorder written out by hand for one secret in a header, one handler (`success`) and one
 * scope. It does what the package with the memory inbox does to a new callback: compares the credential in constant time, parses the query
 * once, makes the same hashes, remembers 10,000 conversions, runs the handler under a time limit with a signal, and sends the same answer. It
 * has no options, no second place for the credential, no body, no quarantine, no rival claims and no observers.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { parseByHand } from './floor.mjs'

const maxConversions = 10_000
const handlerTimeoutMs = 30_000
const known = ['Purpose', 'Sec-Purpose', 'X-Moz', 'X-Purpose'].map((name) => name.toLowerCase())

export function recorder({ onSuccess }, { secret }) {
  const expected = hash('sha256', secret, 'buffer')
  /** @type {Map<string, { people: string, status: string, outcome: string }>} */
  const claims = new Map()

  async function receive(req) {
    const { url, method, headers } = req
    if (method !== 'GET') return { status: 405 }
    if (known.some((name) => /prefetch|preview/.test(headers[name] ?? ''))) return { status: 403 }
    const offered = headers['x-webhook-secret']
    if (offered === undefined || !timingSafeEqual(hash('sha256', offered, 'buffer'), expected)) return { status: 401 }
    const mark = url.indexOf('?')
    req.url = url.slice(0, mark)
    req.originalUrl = req.originalUrl?.slice(0, req.originalUrl.indexOf('?'))
    const parsed = parseByHand(url.slice(mark + 1))
    if (parsed === undefined) return { status: 422 }
    const { conversion } = parsed
    const { orderId, referrer, referee, status } = conversion
    const from = emailKey(referrer.email)
    const to = emailKey(referee.email)
    const id =
      orderId === undefined ? hashOf(['emails', '', to, from]) : hashOf(['order', '', orderId.trim().normalize('NFC')])
    const people = hashOf(['people', id, from, to])
    const before = claims.get(id)
    if (before !== undefined) return before.people === people ? { status: 200, outcome: 'duplicate' } : { status: 409 }
    const claim = {
      people,
      status,
      conversion,
      deliveries: [{ event: 'success', state: 'running', startedAt: Date.now() }],
    }
    claims.set(id, claim)
    if (claims.size > maxConversions) claims.delete(claims.keys().next().value)
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), handlerTimeoutMs)
    try {
      await onSuccess(conversion, { event: 'success', id: `${id}:success`, attempt: 1, signal: controller.signal })
    } finally {
      clearTimeout(timer)
    }
    claim.deliveries[0].state = 'done'
    req.conversion = { ...conversion, outcome: 'accepted', id }
    return { status: 200, outcome: 'accepted' }
  }

  return (req, res, next) => {
    const { url } = req
    if (url[1] !== '?' && !url.startsWith('/webhook?')) return next?.()
    receive(req).then(
      ({ status, outcome }) => send(res, status, outcome === undefined ? '' : `{"outcome":"${outcome}"}`),
      () => send(res, 500, ''),
    )
  }
}

function send(res, status, body) {
  res.writeHead(status, {
    'Cache-Control': 'no-store',
    'X-Robots-Tag': 'noindex',
    'Referrer-Policy': 'no-referrer',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  })
  res.end(body)
}

function emailKey(address) {
  return address === undefined ? '' : address.trim().toLowerCase().normalize('NFC')
}

function hashOf(parts) {
  let tagged = ''
  for (const part of parts) tagged += `${Buffer.byteLength(part)}:${part}`
  return hash('sha256', tagged).slice(0, 40)
}
