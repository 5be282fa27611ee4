import type { Attempt } from './inbox/inbox.js'

type Commit = NonNullable<Attempt['commit']>

/**
 * `context.commit` of one attempt. A handler that forgets to await it would end the attempt before its effect is recorded, so the attempt
 * waits for it, and fails where it does.
 */
export class Commits {
  /** Those that have not settled, with what the handler got. */
  readonly #underWay = new Map<Promise<unknown>, Promise<unknown>>()

  /** What the handler calls. */
  readonly commit: Commit

  constructor(commit: Commit) {
    this.commit = (fn) => {
      const committing = commit(fn)
      const given = committing.then((value) => value) // is still unhandled where nobody looks at it
      this.#underWay.set(committing, given)
      const forget = () => this.#underWay.delete(committing)
      committing.then(forget, forget)
      return given
    }
  }

  /** Runs a handler to its end and to that of every commit it began. Rejects with its own error first. */
  async endOf(handler: () => unknown): Promise<void> {
    try {
      await handler()
    } catch (error) {
      await this.#settled().catch(() => undefined)
      throw error
    }
    await this.#settled()
  }

  async #settled(): Promise<void> {
    for (const given of this.#underWay.values()) given.catch(() => undefined) // its failure is the attempt's
    await Promise.all(this.#underWay.keys())
  }
}
