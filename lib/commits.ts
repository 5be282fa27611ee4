import type { Attempt } from './inbox/inbox.js'
import { isThenable } from './util/kind-of.js'

type Commit = NonNullable<Attempt['commit']>

/**
 * `context.commit` of one attempt. The attempt waits for each commit that its handler began, and fails if one fails: a handler that
 * forgets to await a commit would otherwise end the attempt before the effect is recorded.
 */
export class Commits {
  /** The commits that have not settled, each with the promise that the handler got. */
  readonly #underWay = new Map<Promise<unknown>, Promise<unknown>>()

  readonly commit: Commit

  constructor(commit: Commit) {
    this.commit = (fn) => {
      const committing = commit(fn)
      const given = committing.then((value) => value) // its own promise, so that Node reports a rejection that the handler ignores
      this.#underWay.set(committing, given)
      const forget = () => this.#underWay.delete(committing)
      committing.then(forget, forget)
      return given
    }
  }

  /**
   * Runs a handler, then waits for every commit that it began. Fails with the handler's own error rather than a commit's. Returns no
   * promise if the handler returned none and began no commit.
   */
  endOf(handler: () => unknown): unknown {
    try {
      const handling = handler()
      return isThenable(handling) || this.#underWay.size > 0 ? this.#end(() => handling) : undefined
    } catch (error) {
      if (this.#underWay.size === 0) throw error
      return this.#end(() => {
        throw error
      })
    }
  }

  async #end(handled: () => unknown): Promise<void> {
    try {
      await handled()
    } catch (error) {
      await this.#settled().catch(() => undefined)
      throw error
    }
    await this.#settled()
  }

  async #settled(): Promise<void> {
    for (const given of this.#underWay.values()) given.catch(() => undefined) // the attempt fails with this rejection: it is not unhandled
    await Promise.all(this.#underWay.keys())
  }
}
