/** Every third order has rivals, whose callbacks are sent at the same time. */
const everyRivalry = 3

/**
 * The workers pause while more deliveries than this wait: a slow machine must deliver them all before the run ends. Running deliveries do not
 * count. Those of a killed server stay running until others take them over, and the workers would pause until then.
 */
const maxWaiting = 500

/** Sends callbacks by 16 workers, each for an order of its own, to one of the ports in turn. */
export class Load {
  ports = []
  orders = 0
  sent = 0
  #isFull = false
  #isOver = false
  #client
  #rivals
  #workers

  constructor(client, rivals, waiting) {
    this.#client = client
    this.#rivals = rivals
    this.#workers = [this.#measure(waiting), ...Array.from({ length: 16 }, () => this.#work())]
  }

  async #measure(waiting) {
    for (; !this.#isOver; await new Promise((resolve) => setTimeout(resolve, 50))) {
      this.#isFull = await waiting().then(
        (count) => count > maxWaiting,
        () => false, // the database is away
      )
    }
  }

  async #work() {
    while (!this.#isOver) {
      if (this.ports.length === 0 || this.#isFull) {
        await new Promise((resolve) => setTimeout(resolve, 2))
        continue
      }
      const number = 1_000 + this.orders++
      const answered = await Promise.all(this.#claimants(number).map((who) => this.#send(number, who)))
      if (answered.includes(false)) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** The senders of one order: only the honest one, or the honest one among rivals. Which rivals, and who is first, changes from order to order. */
  #claimants(number) {
    if (number % everyRivalry !== 0) return ['honest']
    const round = number / everyRivalry
    const rivals = this.#rivals.filter((_rival, index) => index !== round % 4)
    return rivals.toSpliced(round % (rivals.length + 1), 0, 'honest')
  }

  #send(number, who) {
    return this.#client.send(this.ports[this.sent++ % this.ports.length], number, who)
  }

  async stop() {
    this.#isOver = true
    await Promise.all(this.#workers)
  }
}
