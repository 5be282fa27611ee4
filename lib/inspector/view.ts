import type { HistoryEntry, InboxEntry, InboxRow } from 'conversion-webhook'
import type { EntryView, HistoryView, PersonView, RowView } from './api.js'
import { maskAddresses, maskEmail, maskName } from './mask.js'

/** How texts of a parameter are masked; those of all others are names to us. */
const masks: Readonly<Record<string, (text: string) => string>> = {
  conversion: maskAddresses,
  referrer_email: maskEmail,
  referee_email: maskEmail,
  orderID: maskAddresses, // a registration has an address there
  purchaseValue: maskAddresses,
  referrer_converts: maskAddresses,
  goal_complete: maskAddresses,
}

const parameters = [
  'conversion',
  'orderID',
  'purchaseValue',
  'goal_complete',
  'referrer_name',
  'referrer_email',
  'referrer_converts',
  'referrer_customValue',
  'referee_name',
  'referee_email',
]

function place(name: string): number {
  const index = parameters.indexOf(name)
  return index === -1 ? parameters.length : index
}

/** A row for the table. Without `isUnmasked` it holds no name and no address. */
export function rowView(row: InboxRow, isUnmasked: boolean): RowView {
  const { id, kind, state, event, scope, code, attempts, receivedAt, nextAttemptAt, lastError, params } = row
  const said = (name: string): string | undefined => {
    const text = params[name]
    return text === undefined || isUnmasked ? text : (masks[name] ?? maskName)(text)
  }
  const orderId = said('orderID')
  const referrer = person(said('referrer_name'), said('referrer_email'))
  const referee = person(said('referee_name'), said('referee_email'))
  return {
    id,
    kind,
    state,
    scope: isUnmasked ? scope : maskAddresses(scope),
    attempts,
    receivedAt: receivedAt.toISOString(),
    ...(event && { event }),
    ...(code && { code }),
    ...(orderId !== undefined && { orderId }),
    ...(referrer && { referrer }),
    ...(referee && { referee }),
    ...(nextAttemptAt && { nextAttemptAt: nextAttemptAt.toISOString() }),
    ...(lastError && { lastError: withMessage(lastError, isUnmasked) }),
  }
}

function person(name: string | undefined, email: string | undefined): PersonView | undefined {
  if (name === undefined && email === undefined) return undefined
  return { ...(name !== undefined && { name }), ...(email !== undefined && { email }) }
}

/** Handlers may name people in their errors. */
function withMessage<T extends { readonly message?: string }>(told: T, isUnmasked: boolean): T {
  return told.message === undefined || isUnmasked ? told : { ...told, message: maskAddresses(told.message) }
}

export function entryView(entry: InboxEntry, isUnmasked: boolean): EntryView {
  const { kind, state, params, conversion, issues = [], history } = entry
  const shown = Object.entries(params).map(
    ([name, text]) => [name, isUnmasked ? text : (masks[name] ?? maskName)(text)] as const,
  )
  return {
    ...rowView(entry, isUnmasked),
    params: shown.sort(([a], [b]) => place(a) - place(b)),
    repairs: conversion?.repairs ?? [],
    issues,
    history: history.map((each) => historyView(each, isUnmasked)),
    canReplay: replayable[kind].includes(state),
  }
}

const replayable: Readonly<Record<InboxRow['kind'], readonly InboxRow['state'][]>> = {
  delivery: ['dead', 'refused', 'waiting'],
  refused: ['refused'],
  conflict: ['conflict'],
}

function historyView(entry: HistoryEntry, isUnmasked: boolean): HistoryView {
  return { ...withMessage(entry, isUnmasked), at: entry.at.toISOString() }
}
