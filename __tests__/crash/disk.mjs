import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'

const headBytes = 6 * 8
const sectorBytes = 512
/** What to append to the name of the SQLite file, by the letter that `power.c` writes for a file. */
const endings = { m: '', l: '-wal' }

function* recordsOf(bytes) {
  for (let at = 0; at + headBytes <= bytes.length;) {
    const [kind, file, offset, length, size, known] = Array.from({ length: 6 }, (_each, index) =>
      Number(bytes.readBigInt64LE(at + 8 * index)),
    )
    at += headBytes
    const old = bytes.subarray(at, (at += known))
    const isWrite = kind === 'w'.charCodeAt()
    const written = isWrite ? bytes.subarray(at, (at += length)) : undefined
    yield { kind: String.fromCharCode(kind), file: String.fromCharCode(file), offset, size, old, written }
  }
}

/**
 * Changes the files to what a disk may hold after a power loss. Each write that was not synced is kept or lost at random, and with `isTorn`
 * some are kept in part, sector by sector. Shared memory is lost. Returns how many writes were unsynced, lost and torn.
 */
export function losePower(file, log, random, isTorn) {
  const counts = { unsynced: 0, lost: 0, torn: 0 }
  const records = existsSync(log) ? [...recordsOf(readFileSync(log))] : []
  for (const [letter, ending] of Object.entries(endings)) {
    const ofFile = records.filter((record) => record.file === letter)
    const unsynced = ofFile.slice(ofFile.findLastIndex(({ kind }) => kind === 's') + 1)
    if (unsynced.length === 0) continue
    const fd = openSync(file + ending, 'r+')
    for (const { offset, size, old } of unsynced.toReversed()) {
      ftruncateSync(fd, size)
      if (old.length > 0) writeSync(fd, old, 0, old.length, offset)
    }
    for (const record of unsynced) {
      counts.unsynced++
      const fate = random()
      if (fate < 0.4) counts.lost++
      else if (isTorn && fate < 0.6 && record.kind === 'w') {
        counts.torn++
        tear(fd, record, random)
      } else make(fd, record)
    }
    closeSync(fd)
  }
  rmSync(log, { force: true })
  rmSync(`${file}-shm`, { force: true })
  return counts
}

function make(fd, { kind, offset, written }) {
  if (kind === 't') ftruncateSync(fd, offset)
  else writeSync(fd, written, 0, written.length, offset)
}

function tear(fd, { offset, written }, random) {
  for (let from = 0; from < written.length; from += sectorBytes) {
    if (random() < 0.5) writeSync(fd, written, from, Math.min(sectorBytes, written.length - from), offset + from)
  }
}
