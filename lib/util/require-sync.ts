import { types } from 'node:util'

/** Returns the result of an option's function; throws if it is a promise, and handles the rejection, which would end the process. */
export function requireSync(option: string, answer: unknown): unknown {
  if (!types.isPromise(answer)) return answer
  answer.catch(() => undefined)
  throw new TypeError(`${option} must return its result, not a promise.`)
}
