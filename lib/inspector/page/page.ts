import type { InboxState } from 'conversion-webhook'
import type { RowsAsk } from '../api.js'
import type { RowView } from '../view.js'
import { ask, Refusal } from './ask.js'
import { openDetail, refreshDetail } from './detail.js'
import { element, figure, setText } from './dom.js'
import { showDays } from './plot.js'
import { showRows } from './rows.js'
import { showTotals } from './totals.js'

const everyMs = 2_000

const live = element('live', HTMLElement)
const count = element('count', HTMLElement)
const older = element('older', HTMLButtonElement)
const unmaskButton = element('unmask', HTMLButtonElement)
const filter = element('filter', HTMLFormElement)
const searchBox = element('search', HTMLInputElement)
const stateBox = element('state', HTMLSelectElement)
const scopeBox = element('scope', HTMLInputElement)

/** The search whose rows the table shows. */
let asked: RowsAsk = {}
let first: readonly RowView[] = []
let rest: readonly RowView[] = []
let hasMore = false
/** Requests run one after another, so that no late answer replaces a newer one. */
let queue: Promise<unknown> = Promise.resolve()

function inTurn(work: () => Promise<void>): void {
  queue = queue.then(work).catch(tell)
}

function say(state: 'on' | 'paused' | 'lost', text: string): void {
  live.className = `live ${state}`
  setText(live, text)
}

function tell(error: unknown): void {
  if (!(error instanceof Refusal)) say('lost', 'Connection lost')
  else if (error.status === 403) say('lost', 'No longer authorized: load the page again')
  else say('lost', `The inbox cannot be read: ${error.message}`)
}

function show(): void {
  showRows([...first, ...rest], (id) => {
    inTurn(() => openDetail(id))
  })
  const total = first.length + rest.length
  setText(count, total === 0 ? 'No record matches.' : `${figure(total)} shown${hasMore ? ', older ones exist' : ''}.`)
  older.hidden = !hasMore
}

/** Loads the newest rows. Keeps the older rows that were loaded before, unless there may be a gap between the two. */
async function loadRows(): Promise<void> {
  const answer = await ask('rows', asked)
  const ids = new Set(answer.rows.map(({ id }) => id))
  const known = [...first, ...rest]
  const overlap = known.findLastIndex(({ id }) => ids.has(id))
  const hasOlder = rest.length > 0 && overlap !== -1
  rest = hasOlder ? known.slice(overlap + 1).filter(({ id }) => !ids.has(id)) : []
  first = answer.rows
  if (!hasOlder) hasMore = answer.hasMore
  show()
}

async function loadOlder(): Promise<void> {
  const last = [...first, ...rest].at(-1)
  if (last === undefined) return
  const answer = await ask('rows', { ...asked, before: last.id })
  rest = [...rest, ...answer.rows]
  hasMore = answer.hasMore
  show()
}

/** Shows the rows of another search. */
async function askAnew(question: RowsAsk): Promise<void> {
  asked = question
  first = []
  rest = []
  hasMore = false
  await loadRows()
}

async function refresh(): Promise<void> {
  const overview = await ask('overview', {})
  showTotals(overview)
  showDays(overview.perDay)
  await loadRows()
  await refreshDetail()
  say('on', 'Live')
}

let timer: number | undefined

function keepFresh(): void {
  clearTimeout(timer)
  if (document.hidden) {
    say('paused', 'Paused')
    return
  }
  inTurn(refresh)
  inTurn(() => {
    clearTimeout(timer)
    timer = window.setTimeout(keepFresh, everyMs)
    return Promise.resolve()
  })
}

filter.addEventListener('submit', (event) => {
  event.preventDefault()
  const search = searchBox.value.trim()
  const state = (stateBox.value as InboxState | '') || undefined
  const scope = scopeBox.value.trim() || undefined
  inTurn(() => askAnew({ ...asked, search, state, scope }))
})
stateBox.addEventListener('change', () => {
  filter.requestSubmit()
})
older.addEventListener('click', () => {
  inTurn(loadOlder)
})
unmaskButton.addEventListener('click', () => {
  const unmask = unmaskButton.getAttribute('aria-pressed') !== 'true'
  unmaskButton.setAttribute('aria-pressed', String(unmask))
  inTurn(() => askAnew({ ...asked, unmask }))
})
document.addEventListener('visibilitychange', keepFresh)
keepFresh()
