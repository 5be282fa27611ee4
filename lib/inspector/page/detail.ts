import type { ClaimView, EntryView, HistoryView } from '../view.js'
import { ask, Refusal } from './ask.js'
import { element, figure, foreign, make, time } from './dom.js'
import { stateBadge } from './rows.js'

const dialog = element('detail', HTMLDialogElement)
const content = element('entry', HTMLElement)
const result = element('result', HTMLElement)
const replaying = element('replaying', HTMLElement)
const replay = element('replay', HTMLButtonElement)
const confirmation = element('confirm', HTMLElement)
const replayNow = element('replay-now', HTMLButtonElement)
const question = element('question', HTMLElement)
const unmask = element('unmask-entry', HTMLButtonElement)

const title = element('detail-title', HTMLElement)
const titles = { delivery: 'Delivery', refused: 'Refused callback', conflict: 'Conflicting callback' }

const questions = {
  again: 'Try once more, under the same id?',
  moves:
    'Move the order to this claim? When confirm says yes, or immediately if there is no confirm, this claim takes the order from the claim that has it, and is paid. If the other claim was paid, take that payment back yourself.',
  joins:
    'Record this callback for the claim whose addresses it agrees with? A fail takes the reward of that claim back. If the callback could belong to several claims, it becomes a claim of its own.',
}

/** The entry in the dialog. Every entry is masked when it is opened. */
let current: { readonly id: string; text: string; isUnmasked: boolean } | undefined

/** Opens the dialog for one row. When the dialog closes, the browser puts the focus back. */
export async function openDetail(id: string): Promise<void> {
  current = { id, text: '', isUnmasked: false }
  unmask.setAttribute('aria-pressed', 'false')
  content.replaceChildren()
  result.textContent = ''
  replaying.hidden = true
  askAgain(false)
  try {
    await refreshDetail()
  } catch (error) {
    current = undefined // the dialog stays closed, so nothing is to be refreshed
    throw error
  }
  dialog.showModal()
}

/** Loads the entry in the dialog again, and shows it if it has changed. */
export async function refreshDetail(): Promise<void> {
  const asked = current
  if (asked === undefined) return
  const entry = await entryOf(asked)
  if (asked !== current) return
  if (entry === undefined) {
    content.replaceChildren(note('This record has been pruned or erased.'))
    replaying.hidden = true
    return
  }
  const text = JSON.stringify(entry)
  if (asked.text === text) return
  asked.text = text
  title.textContent = titles[entry.kind]
  content.replaceChildren(...sectionsOf(entry).filter((node) => node !== undefined))
  replaying.hidden = !entry.canReplay
  question.textContent = questions[entry.replay]
}

/** Resolves with undefined if the entry no longer exists. */
async function entryOf({ id, isUnmasked }: { id: string; isUnmasked: boolean }): Promise<EntryView | undefined> {
  try {
    return await ask('entry', { id, unmask: isUnmasked })
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return undefined
    throw error
  }
}

function sectionsOf(entry: EntryView): (Node | undefined)[] {
  const { id, state, event, kind, scope, attempts, receivedAt, startedAt, nextAttemptAt, heldUntil } = entry
  const { code, orderNote, params, repairs, issues, differs, claims, otherClaims, history, olderHistory } = entry
  const wrongs = list(issues.map((issue) => [foreign(issue)]))
  const corrections = list(repairs.map(({ parameter, kind }) => [foreign(parameter), `: ${kind}`]))
  return [
    facts([
      ['State', stateBadge(state)],
      ['Event', event ?? kind],
      ['Received', time(receivedAt)],
      ['Scope', scope === '' ? undefined : foreign(scope)],
      ['Attempts', figure(attempts)],
      ['Last attempt', startedAt && time(startedAt)],
      ['Next attempt', nextAttemptAt && time(nextAttemptAt)],
      ['Held until', heldUntil && time(heldUntil)],
      ['Refused with', code],
      ['Order', orderNote],
      ['Id', make('code', {}, id)],
    ]),
    ...section('What is wrong', wrongs),
    ...section('Why it is a conflict', facts(differs.map(differenceOf))),
    ...section('Repairs', corrections),
    make('h3', {}, 'Received'),
    params.length > 0
      ? facts(params.map(([name, value]) => [foreign(name), foreign(value)]))
      : note(kind === 'refused' ? 'No parameters.' : 'The parameters have been pruned or erased.'),
    ...claimsOf(claims, otherClaims),
    make('h3', {}, 'History'),
    leftOut(olderHistory, 'older entries'),
    make('ol', { class: 'history' }, ...history.map(historyItem)),
  ]
}

/** A heading and its content; nothing if the content is empty. */
function section(title: string, content: HTMLElement): Node[] {
  return content.hasChildNodes() ? [make('h3', {}, title), content] : []
}

function note(text: string): HTMLElement {
  return make('p', { class: 'note' }, text)
}

function leftOut(count: number, what: string): HTMLElement | undefined {
  return count === 0 ? undefined : note(`${figure(count)} ${what} are left out.`)
}

function valueOf(text: string | undefined): Node {
  return text === undefined ? make('em', {}, 'nothing') : foreign(text)
}

function differenceOf({ parameter, recorded, received }: EntryView['differs'][number]): Fact {
  return [foreign(parameter), make('span', {}, valueOf(received), '; recorded: ', valueOf(recorded))]
}

/** The claims of the order. A single claim is left out if the row is its own: the dialog shows its values already. */
function claimsOf(claims: readonly ClaimView[], others: number): (Node | undefined)[] {
  const shown = claims.length === 1 && claims[0]?.isOwn === true ? [] : claims
  const items = make('ol', { class: 'claims' }, ...shown.map(claimItem))
  return [...section('Claims of the order', items), leftOut(others, 'more claims')]
}

function claimItem({ id, status, hasOrder, isOwn, referrer, referee, purchaseValue }: ClaimView): HTMLElement {
  const marks = [...(hasOrder ? ['has the order'] : []), ...(isOwn ? ['this one'] : [])]
  const hasPeople = referrer !== undefined || referee !== undefined
  return make(
    'li',
    {},
    ...(marks.length === 0 ? [] : [make('strong', {}, marks.join(', ')), ': ']),
    status,
    purchaseValue === undefined ? undefined : `, ${String(purchaseValue)}`,
    hasPeople ? make('span', { class: 'message' }, valueOf(referrer), ' referred ', valueOf(referee)) : undefined,
    make('code', {}, id),
  )
}

type Fact = readonly [name: Node | string, value: Node | string | undefined]

function facts(pairs: readonly Fact[]): HTMLElement {
  const known = pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [make('div', {}, make('dt', {}, name), make('dd', {}, value))],
  )
  return make('dl', { class: 'facts' }, ...known)
}

function list(items: readonly (Node | string)[][]): HTMLElement {
  return make('ul', {}, ...items.map((parts) => make('li', {}, ...parts)))
}

function historyItem({ at, what, event, claim, attempt, count, code, message }: HistoryView): HTMLElement {
  const details = [
    event,
    claim && `claim ${figure(claim)}`,
    attempt === undefined ? undefined : `attempt ${figure(attempt)}`,
    count === undefined ? undefined : `${figure(count)} so far`,
    code,
  ]
  return make(
    'li',
    { class: what },
    make('strong', {}, what),
    ` ${details.filter(Boolean).join(', ')}`,
    message === undefined ? undefined : make('span', { class: 'message' }, foreign(message)),
    time(at),
  )
}

function askAgain(isAsked: boolean): void {
  confirmation.hidden = !isAsked
  replay.hidden = isAsked
}

function reason(error: unknown): string {
  return `That did not work: ${error instanceof Error ? error.message : String(error)}`
}

async function replayCurrent(): Promise<void> {
  if (current === undefined) return
  replayNow.disabled = true
  try {
    await ask('replay', { id: current.id })
    result.textContent = 'Marked for one more try.'
  } catch (error) {
    result.textContent = reason(error)
  }
  replayNow.disabled = false
  askAgain(false)
  await refreshDetail().catch(() => undefined) // the page refreshes by itself
  if (replaying.hidden) element('close', HTMLButtonElement).focus()
  else replay.focus()
}

replay.addEventListener('click', () => {
  askAgain(true)
  replayNow.focus()
})
element('cancel', HTMLButtonElement).addEventListener('click', () => {
  askAgain(false)
  replay.focus()
})
replayNow.addEventListener('click', () => {
  void replayCurrent()
})
unmask.addEventListener('click', () => {
  if (current === undefined) return
  current = { ...current, isUnmasked: !current.isUnmasked }
  unmask.setAttribute('aria-pressed', String(current.isUnmasked))
  refreshDetail().catch((error: unknown) => {
    result.textContent = reason(error)
  })
})
element('close', HTMLButtonElement).addEventListener('click', () => {
  dialog.close()
})
dialog.addEventListener('close', () => {
  current = undefined
})
// A click on the backdrop closes the dialog.
dialog.addEventListener('click', ({ target }) => {
  if (target === dialog) dialog.close()
})
