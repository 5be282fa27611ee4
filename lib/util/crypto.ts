import type * as Crypto from 'node:crypto'

let loaded: typeof Crypto | undefined

/** `node:crypto`, loaded by the first call: importing the package would take half as long again with it. */
export function crypto(): typeof Crypto {
  return (loaded ??= process.getBuiltinModule('node:crypto'))
}
