import type * as Pg from 'pg'

const listenAgainMs = 5_000
const lookMs = 10_000
const answerWithinMs = 5_000

/**
 * Listens for notifications of other processes, on a connection of its own, since a notification comes to the session that listens. A lost
 * connection is replaced. A network may lose a connection without an error, so the connection is checked by a statement.
 */
export class PostgresListener {
  readonly #connect: () => Pg.Client
  readonly #wake: () => void
  #client: Pg.Client | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(connect: () => Pg.Client, wake: () => void) {
    this.#connect = connect
    this.#wake = wake
  }

  async start(): Promise<void> {
    if (this.#isClosed) return
    const client = this.#connect()
    this.#client = client
    const lost = (): void => {
      this.#lost(client)
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', this.#wake)
    try {
      await inTime(client.connect())
      await inTime(client.query('LISTEN conversion_webhook'))
      this.#wake() // for notifications that were sent while no connection listened
      this.#lookLater(client)
    } catch {
      lost()
    }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    if (this.#client) destroy(this.#client)
  }

  #lookLater(client: Pg.Client): void {
    if (this.#client !== client) return
    this.#timer = setTimeout(() => {
      inTime(client.query('SELECT 1')).then(
        () => {
          this.#lookLater(client)
        },
        () => {
          this.#lost(client)
        },
      )
    }, lookMs).unref()
  }

  #lost(client: Pg.Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearTimeout(this.#timer)
    destroy(client)
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      void this.start()
    }, listenAgainMs).unref()
  }
}

async function inTime(answer: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(reject, answerWithinMs, new Error('the server did not answer')).unref()
  })
  await Promise.race([late, answer]).finally(() => {
    clearTimeout(timer)
  })
}

/** Destroys a connection at once: `end()` would wait for answers, which may never come. */
function destroy(client: Pg.Client): void {
  client.query('SELECT 1').catch(ignore)
  client.end().catch(ignore)
}

function ignore(): void {
  // The connection is discarded anyway.
}
