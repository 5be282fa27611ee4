import { conversionWebhook, type Conversion } from '../../lib/index.js'
import { exchange } from '../support/raw.js'
import { capturedRequests, type CapturedRequest, type NamedText } from '../support/requests.js'
import { closeServers, frameworks, listen, type Mount } from '../support/servers.js'

/*
 * Requests as real clients sent them, byte for byte, over real sockets, to every framework; each finds a fresh inbox.
 * Where a request's verdict is open, the rules of the package decide, and this table says how: a status, and which reading is right.
 */
const decided: Readonly<Record<string, { status: number; reads?: 'meant' | 'wire' }>> = {
  // Node's HTTP parser refuses a space in the request target before anybody sees it.
  'php-fgc-concat/status-pending': { status: 400 },
  'php-fgc-concat/name-quotes': { status: 400 },
  'php-curl-rfc3986/email-quoted': { status: 422 },
  'php-curl-rfc1738/email-not': { status: 422 },
  'php-curl-rfc1738/pv-~E0~A5~A7~E0~A5~A6~E0~A5~A6~E0~A5~A6': { status: 422 },
  'php-curl-rfc1738/pv-00012.30': { status: 200, reads: 'meant' },
  'php-curl-rfc3986/pv-0b11': { status: 422 },
  'php-curl-rfc1738/conv-SUCCESS': { status: 200, reads: 'meant' },
  'py-requests-concat/cu-ascii': { status: 200, reads: 'wire' },
  // escape() of old JavaScript: its %uXXXX stay, and its lone latin1 bytes are repaired.
  'node-http-escape/name-emoji': { status: 200 },
  'node-http-escape/cu-url': { status: 200, reads: 'wire' },
  'node-fetch-concat/cu-crlf': { status: 200, reads: 'wire' },
  'axios-params/arr-name': { status: 200 },
  'go-pathescape/pv-empty': { status: 200, reads: 'meant' },
  'java-httpclient/opt-all-missing': { status: 422 },
  'curl-raw/custom-pct-5byte': { status: 200 },
  'curl-raw/conv-dash-name': { status: 422 },
  'curl-raw/plus-raw-email': { status: 200, reads: 'meant' },
  'curl-raw/illegal-bare': { status: 200, reads: 'meant' },
  'raw-tcp/bad-host': { status: 200, reads: 'meant' },
  'curl-raw/ct-form-but-json': { status: 422 },
  'curl-raw/mp-file': { status: 415 },
  'chromium/img': { status: 200, reads: 'meant' },
}

const documented: readonly string[] = [
  'conversion',
  'referrer_name',
  'referrer_email',
  'referee_name',
  'referee_email',
  'orderID',
  'purchaseValue',
  'referrer_converts',
  'referrer_customValue',
  'goal_complete',
]

/** The typed values of the sent texts, worked out here by the words of the design and not by the code under test. */
function expectedValues(texts: readonly NamedText[]) {
  const sent = new Map(texts)
  const free = (name: string) => (sent.get(name)?.trim() ? sent.get(name) : undefined)
  const trimmed = (name: string) => (sent.get(name)?.trim() === '' ? undefined : sent.get(name)?.trim())
  const number = (name: string) => (trimmed(name) === undefined ? undefined : Number(trimmed(name)))
  return {
    status: trimmed('conversion')?.toLowerCase(),
    referrerName: free('referrer_name'),
    referrerEmail: trimmed('referrer_email'),
    refereeName: free('referee_name'),
    refereeEmail: trimmed('referee_email'),
    orderId: trimmed('orderID'),
    purchaseValue: number('purchaseValue'),
    conversions: number('referrer_converts'),
    customValue: free('referrer_customValue'),
    goalComplete: trimmed('goal_complete') === '1',
    // Not every capture lists the unknown parameters; those that it lists must be there.
    extra: expect.objectContaining(Object.fromEntries(texts.filter(([name]) => !documented.includes(name)))) as object,
  }
}

function actualValues({ status, referrer, referee, orderId, purchaseValue, goalComplete, extra }: Conversion) {
  return {
    status,
    referrerName: referrer.name,
    referrerEmail: referrer.email,
    refereeName: referee.name,
    refereeEmail: referee.email,
    orderId,
    purchaseValue,
    conversions: referrer.conversions,
    customValue: referrer.customValue,
    goalComplete,
    extra: { ...extra },
  }
}

async function sendTo(mount: Mount, request: CapturedRequest) {
  const told: Conversion[] = []
  const tell = (conversion: Conversion) => told.push(conversion)
  const webhook = conversionWebhook({ onSuccess: tell, onFail: tell, onPending: tell }, { secret: false })
  const server = await listen(mount('/webhooks/conversion', webhook))
  const answer = await exchange(server.port, Buffer.from(request.raw, 'base64'), {
    end: request.id.includes('short-body'),
  })
  await server.close()
  return { told, status: answer.status }
}

describe.each(Object.entries(frameworks))('captured requests under %s', (_name, mount) => {
  afterEach(closeServers)

  const byVerdict = (verdict: string) => capturedRequests.filter((request) => request.verdict === verdict)

  test.each(byVerdict('accept').map((request) => [request.id, request] as const))(
    '%s is delivered',
    async (_id, request) => {
      const { status, told } = await sendTo(mount, request)
      expect(status).toBe(200)
      expect(told.map(actualValues)).toEqual([expectedValues(request.meant)])
    },
  )

  test.each(byVerdict('reject').map((request) => [request.id, request] as const))(
    '%s is not delivered',
    async (_id, request) => {
      const { status, told } = await sendTo(mount, request)
      expect(told).toEqual([])
      expect(status).toBeLessThan(500)
      expect(status).not.toBe(200)
    },
  )

  test.each(byVerdict('open').map((request) => [request.id, request] as const))(
    '%s is decided',
    async (id, request) => {
      const { status, told } = await sendTo(mount, request)
      const { status: expected, reads } = decided[id] ?? { status: undefined }
      expect(status).toBe(expected)
      expect(told).toHaveLength(status === 200 ? 1 : 0)
      if (reads)
        expect(told.map(actualValues)).toEqual([
          expectedValues(reads === 'wire' ? (request.wire ?? []) : request.meant),
        ])
    },
  )
})
