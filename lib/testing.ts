import type { ParameterName } from './callback/schema.js'
import { meantParameter } from './callback/schema-mistakes.js'
import { ConversionWebhookError, invalidOption } from './errors.js'
import type { Inbox } from './inbox/inbox.js'
import type { InboxRow } from './inbox/operators.js'

export type { ParameterName }

/** The example callback of the platform's documentation. */
const documented: Readonly<Record<ParameterName, string>> = {
  conversion: 'success',
  referrer_name: 'Robert Downy',
  referrer_email: 'example@gmail.com',
  referee_name: 'Cristian Bale',
  referee_email: 'example@gmail.com',
  orderID: 'ASDXXXXX',
  purchaseValue: '1000',
  referrer_converts: '2',
  referrer_customValue: 'xxxxxxx',
  goal_complete: '1',
}

export type ParamOverrides = Readonly<
  Partial<Record<ParameterName, string | number | undefined>> & Record<string, string | number | undefined>
>

/**
 * The ten parameters of the platform's documented example, merged with `overrides`. An override of `undefined` leaves its parameter out.
 *
 * @example await request(app).get('/webhook').query(sampleParams({ orderID: 'A-1', goal_complete: 0 }))
 */
export function sampleParams(overrides: ParamOverrides = {}): Record<string, string> {
  for (const name of Object.keys(overrides)) {
    const near = meantParameter(name)
    if (near !== undefined)
      throw invalidOption('sampleParams', `name parameters as they are documented: ${near}, not ${name}`)
  }
  const given = Object.entries({ ...documented, ...overrides }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]))
}

/**
 * The URL that the platform calls: `base`, with the parameters encoded as PHP's `http_build_query` does. If `base` has a query, they are
 * appended to it.
 */
export function callbackUrl(base: string | URL, params: Readonly<Record<string, string>> = sampleParams()): string {
  const text = String(base)
  return `${text}${text.includes('?') ? '&' : '?'}${String(new URLSearchParams(params)).replaceAll('*', '%2A')}`
}

/**
 * Resolves with the newest 50 rows of an inbox once no delivery waits or runs. Rejects after `timeoutMs` (5,000) with the deliveries that
 * are left: a failing handler is retried for longer than a test should wait.
 *
 * @example const [row] = await deliveries(webhook.inbox)
 */
export async function deliveries(inbox: Inbox, { timeoutMs = 5_000 } = {}): Promise<readonly InboxRow[]> {
  if (typeof (inbox as Partial<Inbox> | undefined)?.stats !== 'function') {
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', { values: { why: 'deliveries' } })
  }
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    const { waiting, running } = (await inbox.stats()).deliveries
    if (waiting + running === 0) return inbox.list()
    if (performance.now() > giveUpAt) throw new Error(await describe(inbox, timeoutMs))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

async function describe(inbox: Inbox, timeoutMs: number): Promise<string> {
  const left = [...(await inbox.list({ state: 'running' })), ...(await inbox.list({ state: 'waiting' }))]
  const lines = left.map(({ event, state, attempts, lastError }) => {
    const why = lastError ? `, ${lastError.code}: ${lastError.message ?? ''}` : ''
    return `${event ?? 'a refused callback'} ${state}, attempt ${String(attempts)}${why}`
  })
  return [`Deliveries still wait or run after ${String(timeoutMs)} ms:`, ...lines].join('\n  ')
}
