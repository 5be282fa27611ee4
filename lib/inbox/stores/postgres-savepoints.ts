import { savepoint } from './postgres-statements.js'

/** Transactions of a library inside ours: savepoints, one in the other, each with a name of its own. */
export class Savepoints {
  readonly #send: (text: string) => Promise<unknown>
  #open: readonly string[] = []
  #begun = 0
  #unanswered = 0

  constructor(send: (text: string) => Promise<unknown>) {
    this.#send = send
  }

  /** How many are open, with all that was sent. */
  get depth(): number {
    return this.#open.length
  }

  /** Whether one is open, and a statement that opens or ends one is unanswered: who begins another now does not wait for it. */
  get isChanging(): boolean {
    return this.depth > 0 && this.#unanswered > 0
  }

  begin(): Promise<unknown> {
    const name = `${savepoint}_${String(++this.#begun)}`
    this.#open = [...this.#open, name]
    return this.#answer(`SAVEPOINT ${name}`, () => {
      this.#open = this.#open.filter((each) => each !== name)
    })
  }

  /** Rejects in a transaction that a failed statement has aborted, where PostgreSQL itself would roll back and report success. */
  commit(): Promise<unknown> {
    const name = this.#close()
    return this.#answer(`RELEASE SAVEPOINT ${name}`, () => {
      this.#open = [...this.#open, name] // libraries roll back then
    })
  }

  /** Both statements in one message: pg warns of a statement that is sent while another one of its connection waits to be sent. */
  async rollback(): Promise<unknown> {
    const name = this.#close()
    const results = await this.#answer(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`)
    return Array.isArray(results) ? results[0] : results
  }

  #close(): string {
    const name = this.#open.at(-1)
    if (name === undefined) throw new Error('no transaction of a library is open')
    this.#open = this.#open.slice(0, -1)
    return name
  }

  async #answer(text: string, undo?: () => void): Promise<unknown> {
    this.#unanswered++
    try {
      return await this.#send(text)
    } catch (error) {
      undo?.()
      throw error
    } finally {
      this.#unanswered--
    }
  }
}
