import { fittingPeopleHashes } from '../claims.js'
import type { ClaimRecord, People } from '../records.js'

/** A claim in one of the places that it is found in: a list that any claim can leave at once. */
interface Node {
  readonly id: string
  readonly place: string
  next: Node | undefined
  previous: Node | undefined
}

/** Two that do not contradict are one too many. */
const enough = 2

/**
 * The rivals in memory, by what `belongsTo` asks for, as the databases have indexes for it: finding them costs the same, however many an
 * identity has.
 */
export class Rivals {
  /** The newest claim of each place. */
  readonly #places = new Map<string, Node>()
  readonly #nodes = new Map<string, readonly Node[]>()

  /** Adds a rival, or moves it to where it is found now. */
  put(claim: ClaimRecord): void {
    this.delete(claim.id)
    const nodes = placesOf(claim).map((place) => this.#link(claim.id, place))
    this.#nodes.set(claim.id, nodes)
  }

  delete(id: string): void {
    for (const node of this.#nodes.get(id) ?? []) this.#unlink(node)
    this.#nodes.delete(id)
  }

  /** The ids of those with the people of a callback or with some of them left out, and of some that do not contradict it. */
  for(identity: string, people: People): readonly string[] {
    const fitting = fittingPeopleHashes(identity, people).flatMap((key) => this.of(key, enough))
    return [...fitting, ...agreeingWith(identity, people).flatMap((place) => this.of(place, enough))]
  }

  /** The ids of rivals in a place, such as an identity, newest first. */
  of(place: string, limit = Infinity): readonly string[] {
    const ids: string[] = []
    for (let node = this.#places.get(place); node && ids.length < limit; node = node.next) ids.push(node.id)
    return ids
  }

  #link(id: string, place: string): Node {
    const next = this.#places.get(place)
    const node = { id, place, next, previous: undefined }
    if (next) next.previous = node
    this.#places.set(place, node)
    return node
  }

  #unlink({ place, next, previous }: Node): void {
    if (next) next.previous = previous
    if (previous) previous.next = next
    else if (next) this.#places.set(place, next)
    else this.#places.delete(place)
  }
}

/** No callback belongs to a replayed conflict by its people: it has none, and is found by its identity alone. */
function placesOf({ identity, peopleHash, referrerEmail, refereeEmail }: ClaimRecord): readonly string[] {
  if (peopleHash === undefined) return [identity]
  const isBlank = referrerEmail === undefined && refereeEmail === undefined
  return [
    identity,
    peopleHash,
    anybody(identity),
    referredBy(identity, referrerEmail),
    referring(identity, refereeEmail),
    ...(isBlank ? [nobody(identity)] : []),
  ]
}

/** The places of claims that do not contradict people: an address is the same, or left out on either side. */
function agreeingWith(identity: string, { referrerEmail, refereeEmail }: People): readonly string[] {
  // Those that leave out one of two addresses are found by their people.
  if (referrerEmail !== undefined && refereeEmail !== undefined) return [nobody(identity)]
  if (referrerEmail !== undefined) return [referredBy(identity, referrerEmail), referredBy(identity, undefined)]
  if (refereeEmail !== undefined) return [referring(identity, refereeEmail), referring(identity, undefined)]
  return [anybody(identity)]
}

const anybody = (identity: string): string => `${identity} *`
const nobody = (identity: string): string => `${identity} -`
const referredBy = (identity: string, email: string | undefined): string => `${identity} < ${email ?? ''}`
const referring = (identity: string, email: string | undefined): string => `${identity} > ${email ?? ''}`
