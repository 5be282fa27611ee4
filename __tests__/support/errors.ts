import { inspect } from 'node:util'

/** Values that code may throw and that are hard to handle: not errors, errors without a message, and errors that throw when they are read or printed. */
export function unkindErrors(): readonly unknown[] {
  const fail = (): never => {
    throw new Error('do not look')
  }
  return [
    undefined,
    null,
    Symbol('failed'),
    Object.create(null),
    Object.assign(new Error(), { message: { not: 'a text' } }),
    Object.assign(new Error('a NUL \0 and half a pair \ud800'), {}),
    Object.assign(new Error('unprintable'), { [inspect.custom]: fail }),
    Object.defineProperty(new Error('no message'), 'message', { get: fail }),
    Object.defineProperty(new Error('no stack'), 'stack', { get: fail }),
    new Proxy(new Error('closed'), { get: fail, getPrototypeOf: fail, ownKeys: fail, has: fail }),
  ]
}
