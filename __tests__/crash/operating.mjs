import { threadSteps } from './thread-deaths.mjs'
import { setTimeout as wait } from 'node:timers/promises'
import { buyerOf, friendOf } from './shop.mjs'

/** The steps at which an operator's process dies, with the operation. `emptying` and `emptied` are before and after the commit of one batch. */
const deaths = {
  sqlite: [['emptying', 'prune'], ['emptied', 'erase'], ...threadSteps.map((step) => [step, 'erase'])],
  postgres: [
    ['emptying', 'prune'],
    ['emptied', 'prune'],
    ['emptying', 'erase'],
    ['emptied', 'erase'],
  ],
}

/** How often an operation is repeated until it reaches the step, since other operators may have left nothing to do. */
const maxTries = 100

/** Makes this process run the operations that its parent sends, and send the results back. */
export function operateOn(inbox) {
  process.on('message', async ({ operation, options }) => {
    if (operation === undefined) return
    const send = (what) => process.connected && process.send({ operated: what })
    await inbox[operation](options).then(
      (result) => send({ result }),
      (error) => send({ failure: error.code ?? String(error) }),
    )
  })
}

/** Errors that are expected while processes are killed: another erase is running, or the database is down. */
const mayFail = ['ERR_CONVERSION_ERASE_INCOMPLETE', 'ERR_CONVERSION_INBOX_UNAVAILABLE']

/**
 * Prunes and erases under load: one operation after another in the servers, and at the same time one after another in a separate process. The
 * erased addresses are those of old orders, of the newest orders, whose deliveries wait, and addresses that many claims share.
 */
export class Operators {
  counts = { prunes: 0, erases: 0, diedInPrune: 0, diedInErase: 0, pruned: 0, erased: 0, foundWaiting: 0 }
  /** The number of failed operations by code. */
  failures = new Map()
  /** All addresses that an erase was asked for. */
  addresses = new Set()
  #servers
  #processes
  #client
  #random
  #isOver = false
  #loops = []

  /** `servers` and `processes` are `Servers`. `processes` are the separate processes of the operator. */
  constructor({ servers, processes, client, random }) {
    this.#servers = servers
    this.#processes = processes
    this.#client = client
    this.#random = random
  }

  start() {
    this.#loops = [this.#operate(this.#servers), this.#operate(this.#processes)]
  }

  async #operate(processes) {
    while (!this.#isOver) {
      const ready = processes.running.filter(({ isReady }) => isReady)
      const one = ready[Math.floor(this.#random() * ready.length)]
      if (one !== undefined) await this.#ask(one, this.#random() < 0.3 ? 'prune' : 'erase')
      await wait(20 + this.#random() * 100)
    }
  }

  /** Resolves with whether the process is still alive after the operation. */
  async #ask(process, operation) {
    const isPrune = operation === 'prune'
    const options = isPrune ? { olderThanDays: (this.#random() * 3) / 86_400 } : { email: this.#somebody() }
    const done = await process.operate({ operation, options })
    this.counts[isPrune ? 'prunes' : 'erases']++
    if (done === undefined) this.counts[isPrune ? 'diedInPrune' : 'diedInErase']++
    if (done?.failure !== undefined) this.failures.set(done.failure, (this.failures.get(done.failure) ?? 0) + 1)
    const { pruned = 0, erased = 0, waiting = [] } = done?.result ?? {}
    this.counts.pruned += pruned
    this.counts.erased += erased
    this.counts.foundWaiting += waiting.length
    return done !== undefined
  }

  #somebody() {
    const { taken } = this.#client
    const at = (index) => taken[Math.max(0, Math.floor(index))]?.number ?? 1_000
    const old = at(this.#random() * taken.length)
    const newest = at(taken.length - 1 - this.#random() * 20)
    const some = [friendOf(old), buyerOf(old), friendOf(newest), buyerOf(newest)]
    if (this.#random() < 0.2) some.push('thief@crime.example')
    for (const address of some) this.addresses.add(address)
    return some
  }

  /** Starts separate processes one after another, of which each dies at the next step. */
  async die(inbox) {
    for (const [dieAt, operation] of deaths[inbox]) {
      const victim = await this.#processes.start({ dieAt })
      let tries = 0
      while ((await this.#ask(victim, operation)) && tries++ < maxTries) await wait(20)
      if (tries > maxTries) throw new Error(`no operator reached the step ${dieAt}`)
    }
  }

  async stop() {
    this.#isOver = true
    await Promise.all(this.#loops)
  }

  get problems() {
    const strange = [...this.failures.keys()].filter((code) => !mayFail.includes(code))
    return strange.map((code) => `an operation failed: ${code}`)
  }

  /** Erases all addresses once more after the load: nothing of them may be left, even though their callbacks were repeated. */
  async findTraces(storage, port) {
    const problems = []
    const check = (what, isTrue) => isTrue || problems.push(what)
    const addresses = [...this.addresses]
    check('no address was found before it was erased', (await storage.mentions(addresses)).length > 0)
    await storage.forgetRewards()
    for (let from = 0; from < addresses.length; from += 1_000) {
      const { waiting } = await storage.erase(addresses.slice(from, from + 1_000))
      check(`${waiting.length} conversions wait, and could not be erased`, waiting.length === 0)
    }
    const isErased = ({ number }) => this.addresses.has(friendOf(number))
    const erased = this.#client.taken.filter(isErased)
    const again = erased.filter(() => this.#random() < 300 / erased.length)
    for (const callback of again) {
      const outcome = await this.#client.repeat(port, callback)
      const { number, who } = callback
      check(`a repeat of the erased ${number} by ${who} was ${outcome}`, outcome === 'duplicate')
    }
    const left = await storage.mentions(addresses)
    check(
      `${left.length} of ${addresses.length} erased addresses are still there: ${left.slice(0, 3)}`,
      left.length === 0,
    )
    return { problems, summary: { addressesErased: addresses.length, repeatsOfErased: again.length } }
  }
}
