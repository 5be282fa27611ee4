import { crypto } from './crypto.js'

/** 160 bits of a hash, as hex. Each part has its length before it, so that no two arrays of parts give the same string. */
export function hashOf(parts: readonly string[]): string {
  let tagged = ''
  for (const part of parts) tagged += `${String(Buffer.byteLength(part))}:${part}`
  return crypto().hash('sha256', tagged).slice(0, 40)
}

/** The first 64 bits of a hash, as a signed integer that both databases can store. */
export function bitsOf(hash: string): bigint {
  return BigInt.asIntN(64, BigInt(`0x${hash.slice(0, 16)}`))
}
