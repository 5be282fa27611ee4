import { parseCallback } from 'conversion-webhook'

const sample =
  'conversion=success&referrer_name=Robert+Downy&referrer_email=example%40gmail.com&referee_name=Cristian+Bale&referee_email=example%40gmail.com&orderID=ASDXXXXX&purchaseValue=1000&referrer_converts=2&referrer_customValue=xxxxxxx&goal_complete=0'
const { conversion } = parseCallback(sample)
let order = 0

/** A callback as the webhook gives it to an inbox. Each call makes one with a new order. */
export function nextCallback() {
  const { status, params, extra, repairs, scope } = conversion
  const orderID = `order ${process.pid} ${order++}`
  return { status, params: { ...params, orderID }, extra, repairs, scope, receivedAt: Date.now() }
}

/** The same as an inbox stores it. */
export const storedCallback = ({ receivedAt, status, params }) =>
  JSON.stringify({ v: 1, at: receivedAt, status, params })

/** Calls `once` `total` times, by `callers` at a time. Resolves with the calls a second. */
export async function rate(once, total, callers) {
  let left = total
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) await once()
    }),
  )
  return (total / (performance.now() - startedAt)) * 1_000
}
