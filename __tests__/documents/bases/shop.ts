/* What a snippet marked `shop` continues: the app of the README, and functions that the reader's own shop has. */
import type { IncomingMessage } from 'node:http'
import type { Confirm } from 'conversion-webhook'

export * from './app.js'

const calls: unknown[][] = []

export const confirm: Confirm = ({ orderId }) => orderId !== undefined

export async function grantReward(email: string | undefined, note?: string): Promise<void> {
  await Promise.resolve(calls.push([email, note]))
}

export async function takeBack(orderId: string | undefined, idempotencyKey: string): Promise<void> {
  await Promise.resolve(calls.push([orderId, idempotencyKey]))
}

export async function payReward(
  email: string | undefined,
  amount: number,
  options: { readonly idempotencyKey: string; readonly signal?: AbortSignal },
): Promise<void> {
  await Promise.resolve(calls.push([email, amount, options]))
}

export function isAdmin(request: IncomingMessage): boolean {
  return calls.push([request.url]) > 0
}
