import { closeSync, openSync, readSync } from 'node:fs'

const headerBytes = 32
const frameHeaderBytes = 24
const saltBytes = 8
/** Where the salt is in the header of the log, and in that of a page. */
const saltAt = 16
const frameSaltAt = 8
const pageSizeAt = 8

/**
 * How many pages a log has, of which the size of its file says nothing: SQLite begins it anew by writing over what is there. Each page of
 * it bears the salt of its header, which is another one each time (https://sqlite.org/fileformat2.html#walformat).
 */
export class LogLength {
  readonly #descriptor: number | undefined
  readonly #header = Buffer.alloc(headerBytes)
  readonly #frameSalt = Buffer.alloc(saltBytes)
  readonly #leftSalt = Buffer.alloc(saltBytes)
  #left = 0

  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, 'r')
    } catch {
      // There is none: it is never long.
    }
  }

  /** Whether there are more pages than that, without those that were left out of account. */
  isOver(pages: number): boolean {
    const descriptor = this.#descriptor
    if (descriptor === undefined || readSync(descriptor, this.#header, 0, headerBytes, 0) < headerBytes) return false
    const salt = this.#header.subarray(saltAt, saltAt + saltBytes)
    if (!salt.equals(this.#leftSalt)) this.#left = 0
    const frameBytes = frameHeaderBytes + this.#header.readUInt32BE(pageSizeAt)
    const at = headerBytes + (this.#left + pages) * frameBytes + frameSaltAt
    return readSync(descriptor, this.#frameSalt, 0, saltBytes, at) === saltBytes && this.#frameSalt.equals(salt)
  }

  /** Leaves the first pages out of account until the log begins anew. */
  leaveOut(pages: number): void {
    this.#left = pages
    this.#header.copy(this.#leftSalt, 0, saltAt, saltAt + saltBytes)
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
  }
}
