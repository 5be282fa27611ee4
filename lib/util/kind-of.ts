import { types } from 'node:util'

/** Describes a value for an error message by its kind. A number or a boolean is no secret, so its value is shown. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') {
    return String(value)
  }
  if (isArray(value)) return 'an array'
  if (types.isPromise(value)) return 'a promise'
  if (types.isDate(value)) return 'a Date'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** `Array.isArray` throws for a revoked proxy. */
function isArray(value: unknown): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

export function isFunction(value: unknown): value is (...given: readonly unknown[]) => unknown {
  return typeof value === 'function'
}

/** Whether `await` would wait for the value. Throws if reading `then` does. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return mayBe && 'then' in value && typeof value.then === 'function'
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
