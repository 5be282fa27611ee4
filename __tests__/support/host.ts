import type { InboxHost, Job, Verdict } from '../../lib/inbox/inbox.js'
import { deferred } from './recorder.js'

/** An attempt that the test ends: first its verdict, then the handler itself. */
export interface Attempt {
  readonly job: Job
  readonly judge: (verdict: Verdict) => void
  readonly finish: () => void
  /** The reason with which the attempt was aborted. */
  readonly aborted: () => Error | undefined
}

/** A host, as an inbox sees the webhook, that records every attempt. */
export function testHost(changes: Partial<InboxHost> = {}) {
  const attempts: Attempt[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const host: InboxHost = {
    handlers: { has: () => true },
    hasConfirm: false,
    reread: () => ({ ok: false, code: 'ERR_CONVERSION_CALLBACK_REFUSED', issues: [] }),
    conversionOf: () => undefined,
    onConflict: () => undefined,
    onDead: () => undefined,
    onError: (error) => {
      throw error
    },
    maxAttempts: 12,
    maxHoldMs: 60_000,
    concurrency: 10,
    handlerTimeoutMs: 60_000,
    closeTimeoutMs: 60_000,
    deliver: (job) => {
      const verdict = deferred<Verdict>()
      const finished = deferred()
      let aborted: Error | undefined
      attempts.push({ job, judge: verdict.resolve, finish: finished.resolve, aborted: () => aborted })
      for (const { count, resolve } of waiting) if (attempts.length >= count) resolve()
      const abort = (reason: Error): void => {
        aborted = reason
      }
      return { verdict: verdict.promise, finished: finished.promise, abort }
    },
    ...changes,
  }
  return {
    host,
    attempts,
    /** Resolves with the attempt of that number (from 1), when it starts. */
    attempt: async (count: number): Promise<Attempt> => {
      const started = deferred()
      if (attempts.length >= count) started.resolve()
      else waiting.push({ count, resolve: started.resolve })
      await started.promise
      const attempt = attempts[count - 1]
      if (attempt === undefined) throw new Error('no such attempt')
      return attempt
    },
  }
}

/** A host whose attempts all end immediately with this verdict. */
export const ending = (verdict: Verdict): Pick<InboxHost, 'deliver'> => ({
  deliver: () => ({ verdict: Promise.resolve(verdict), finished: Promise.resolve(), abort: () => undefined }),
})

export const failed: Verdict = { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_FAILED' }
export const held: Verdict = { state: 'waiting', code: 'ERR_CONVERSION_DELIVERY_HELD' }
export const late: Verdict = { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' }
export const done: Verdict = { state: 'done' }
export const working = ending(done)
