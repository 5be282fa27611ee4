import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../../scripts/postgres.mjs'
import { compare } from './flat.mjs'
import { Load } from './load.mjs'

/**
 * Requests before the first sample. They must fill the memory inbox with conversions like those of the samples. It keeps 10,000 conversions and
 * 1,000 callbacks of each quarantine, and its maps reach their final size after 16,384 conversions.
 */
const filling = { memory: 45_000, sqlite: 3_000, postgres: 3_000 }
const samplesWanted = 90
const minSampleMs = 500
/** The minimum number of requests, also on a slow machine: fewer could not tell a leak from noise. */
const leastRequests = 3_000
const restMs = 50
const endMs = 20_000
const drainMs = 60_000

/** The server process. This class asks it by messages. */
class Shop {
  gone
  isGone = false
  #child

  constructor(options) {
    const program = fileURLToPath(new URL('server.mjs', import.meta.url))
    this.#child = spawn(
      process.execPath,
      ['--expose-gc', '--disable-warning=ExperimentalWarning', program, JSON.stringify(options)],
      {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      },
    )
    this.gone = once(this.#child, 'exit')
    void this.gone.then(() => (this.isGone = true))
  }

  /** Resolves with the next message; rejects if the process ends before. */
  message() {
    return Promise.race([
      once(this.#child, 'message').then(([message]) => message),
      this.gone.then(([code, signal]) => Promise.reject(new Error(`the server ended by ${signal ?? code}`))),
    ])
  }

  /** Asks for `progress`, or for a `sample`, which takes longer. */
  ask(what) {
    this.#child.send(what)
    return this.message()
  }

  /** Resolves with whether the process exits by itself, which it does only if no resource keeps it alive. */
  async close() {
    this.#child.send('close')
    const ended = await Promise.race([this.gone, wait(endMs, undefined, { ref: false })])
    return ended?.[0] === 0
  }

  async kill() {
    if (!this.isGone) this.#child.kill('SIGKILL')
    await this.gone
  }
}

/** Soaks one inbox. Resolves with the figures and the problems. */
export async function soak({ inbox, minutes, rate, leak }) {
  const lengthMs = minutes * 60_000
  const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-soak-'))
  const database = inbox === 'postgres' ? await startPostgres() : undefined
  const secret = randomBytes(24).toString('base64url')
  const pruneEveryMs = Math.min(20_000, lengthMs / 10)
  const shop = new Shop({ inbox, file: join(folder, 'inbox.db'), url: database?.url, secret, leak, pruneEveryMs })
  const problems = []
  let figures = {}
  let load
  try {
    const { port } = await shop.message()
    load = new Load({ port, secret, inbox })
    await load.fill(filling[inbox])
    const samples = []
    const endsAt = performance.now() + lengthMs
    const enough = load.answered + leastRequests
    while (performance.now() < endsAt || load.answered < enough) {
      await load.steady(rate, Math.max(minSampleMs, lengthMs / samplesWanted) - restMs)
      await wait(restMs) // until deliveries that have begun are done
      samples.push(await shop.ask('sample'))
    }
    const { callbacks, rows } = compare(samples)
    for (const { name, growth, allowed, isFlat } of rows) {
      if (!isFlat) problems.push(`${name} grew by ${growth} with ${callbacks} callbacks, and may by ${allowed}`)
    }

    let last = samples.at(-1)
    for (const until = performance.now() + drainMs; last.waiting > 0 && performance.now() < until; await wait(200)) {
      last = await shop.ask('progress')
    }
    const { deliveries, paid, listed, pruned, errors } = last
    figures = { samples: samples.length, callbacks: last.callbacks, deliveries, paid, listed, pruned }
    figures = { ...figures, answers: load.answers, rows, series: samples }
    if (last.waiting > 0) problems.push(`${last.waiting} deliveries wait`)
    if (paid !== load.paid) problems.push(`${paid} handlers have succeeded instead of ${load.paid}`)
    if (listed === 0 || pruned === 0) problems.push('nothing was listed, or nothing pruned')
    problems.push(...load.problems, ...Object.keys(errors))

    load.close()
    if (!(await shop.close())) problems.push('the closed server did not end by itself')
  } catch (error) {
    problems.push(String(error))
  } finally {
    load?.close()
    await shop.kill()
    await database?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { inbox, minutes, rate, ...(leak && { leak }), ...figures, problems }
}
