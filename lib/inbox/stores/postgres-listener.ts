import { setTimeout as wait } from 'node:timers/promises'
import type * as Pg from 'pg'
import { ignore } from './postgres-client.js'

const listenAgainMs = 5_000
const lookMs = 10_000
const answerWithinMs = 5_000
/** Such a timer does not keep the process alive. */
const withoutRef = { ref: false }

/**
 * Listens for notifications of other processes, on a connection of its own, since a notification comes to the session that listens. A lost
 * connection is replaced. A network may lose a connection without an error, so the connection is checked by a statement.
 */
export class PostgresListener {
  readonly #connect: () => Pg.Client
  #client: Pg.Client | undefined
  #isClosed = false

  constructor(connect: () => Pg.Client) {
    this.#connect = connect
  }

  /** Calls `wake` when another process may have made a job. Resolves when it listens. */
  async start(wake: () => void): Promise<void> {
    if (this.#isClosed) return
    const client = this.#connect()
    this.#client = client
    const lost = (): void => {
      if (this.#client !== client) return
      this.#client = undefined
      destroy(client)
      void wait(listenAgainMs, undefined, withoutRef).then(() => this.start(wake))
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', wake)
    if ((await answers(client.connect())) && (await answers(client.query('LISTEN conversion_webhook')))) {
      wake() // for notifications that were sent while no connection listened
      void this.#watch(client).then(lost)
    } else lost()
  }

  close(): void {
    this.#isClosed = true
    if (this.#client) destroy(this.#client)
  }

  /** Resolves when the connection is lost. */
  async #watch(client: Pg.Client): Promise<void> {
    do await wait(lookMs, undefined, withoutRef)
    while (this.#client === client && (await answers(client.query('SELECT 1'))))
  }
}

/** Whether the server answers in time, and not with an error. */
function answers(answer: Promise<unknown>): Promise<boolean> {
  const answered = answer.then(
    () => true,
    () => false,
  )
  return Promise.race([answered, wait(answerWithinMs, false, withoutRef)])
}

/** Destroys a connection at once: `end()` would wait for answers, which may never come. */
function destroy(client: Pg.Client): void {
  client.query('SELECT 1').catch(ignore)
  client.end().catch(ignore)
}
