import { Command, InvalidArgumentError, Option } from 'commander'
import type { Inbox, InboxQuery, InboxState } from 'conversion-webhook'
import { wholeNumber } from './arguments.js'
import { replayOf } from '../inspector/claims.js'
import { entryLines, markLines, moveLines, rowLines, statsLines, type Move } from './inbox-views.js'
import { failure, figure, painter, print, printJson, usage, type Io } from './io.js'
import { openInbox } from './storage.js'

const states = ['waiting', 'running', 'done', 'dead', 'withdrawn', 'refused', 'conflict'] satisfies InboxState[]

interface CommonOptions {
  readonly schema?: string
  readonly json?: true
}

interface AskingOptions extends CommonOptions {
  readonly yes?: true
}

/** Shows and changes an inbox, also while an app has it open. */
export function inboxCommand(io: Io): Command {
  const inbox = new Command('inbox')
    .summary('show and change an inbox')
    .description(
      'Shows and changes an inbox, also while an app has it open. No handler runs here: a process with handlers makes the attempts that replay asks for.',
    )
    .helpCommand(false)
  for (const make of [listCommand, showCommand, replayCommand, statsCommand, pruneCommand, eraseCommand]) {
    inbox.addCommand(make(io))
  }
  return inbox
}

function storageCommand(name: string, about: string): Command {
  return new Command(name)
    .description(about)
    .argument('<storage>', 'the SQLite file of the inbox, or postgres://…')
    .option('--schema <name>', 'the PostgreSQL schema of the inbox (default: conversion_webhook)')
    .option('--json', 'print JSON')
}

/** What a command of an inbox prints. */
interface Printed {
  readonly json: unknown
  readonly lines: readonly string[]
  /** Lines for standard error. */
  readonly notes?: readonly string[]
  /** Why the command fails after it has printed this. */
  readonly problem?: string | undefined
}

/** Opens an inbox, prints what `work` resolves with, and closes the inbox. */
async function withInbox(
  io: Io,
  storage: string,
  options: CommonOptions,
  work: (inbox: Inbox) => Promise<Printed>,
): Promise<void> {
  const inbox = await openInbox(storage, options)
  try {
    const { json, lines, notes = [], problem } = await work(inbox)
    if (options.json) printJson(io.out, json)
    else {
      print(io.out, ...lines)
      print(io.err, ...notes)
    }
    if (problem !== undefined) throw failure(problem)
  } finally {
    await inbox.close()
  }
}

function listCommand(io: Io): Command {
  return storageCommand('list', 'Lists deliveries and quarantined callbacks, the newest first.')
    .addOption(new Option('--state <state>', 'only rows in this state').choices(states))
    .option('--order <id>', 'only rows of this order')
    .option('--email <address>', 'only rows with this referrer or referee')
    .option('--scope <scope>', 'only rows of this scope')
    .option('--limit <n>', 'at most this many rows', wholeNumber(1, 1_000), 50)
    .option('--before <id>', 'only rows older than the row with this id: the next page')
    .action((storage: string, { order: orderId, state, email, scope, limit, before, ...options }: ListOptions) =>
      withInbox(io, storage, options, async (inbox) => {
        const rows = await inbox.list({ state, orderId, email, scope, limit, before })
        const last = rows.length === limit ? rows.at(-1) : undefined
        const older = last ? [`Older ones: --before ${last.id}`] : []
        return { json: rows, lines: rowLines(rows, painter(io.out, io.env)), notes: [...markLines(rows), ...older] }
      }),
    )
}

interface ListOptions extends CommonOptions, Pick<InboxQuery, 'state' | 'email' | 'scope' | 'before'> {
  readonly order?: string
  readonly limit: number
}

function showCommand(io: Io): Command {
  return storageCommand(
    'show',
    'Shows one delivery or quarantined callback: what was received, and everything that happened to it.',
  )
    .argument('<id>', 'an id that list prints')
    .action((storage: string, id: string, options: CommonOptions) =>
      withInbox(io, storage, options, async (inbox) => {
        const entry = await inbox.get(id)
        if (entry === undefined) throw failure('nothing is recorded under this id')
        return { json: entry, lines: entryLines(entry, painter(io.out, io.env)) }
      }),
    )
}

function replayCommand(io: Io): Command {
  return storageCommand(
    'replay',
    'Marks deliveries or quarantined callbacks for one more try, under the same ids, so that nothing is paid twice. Where another claim has the order, the replay of a conflict or a refused delivery takes the order from that claim, and both may be paid.',
  )
    .summary('Marks deliveries or quarantined callbacks for one more try, under the same ids.')
    .argument('<ids...>', 'ids that list prints')
    .action((storage: string, ids: readonly string[], options: CommonOptions) =>
      withInbox(io, storage, options, async (inbox) => {
        const moves: Move[] = []
        for (const id of ids) moves.push(...(await replay(inbox, id)))
        const marked = `Marked ${figure(ids.length)}. A process with handlers makes the next attempt.`
        return { json: { marked: ids, moves }, lines: [marked, ...moveLines(moves)] }
      }),
    )
}

/** Replays one row. Returns the order that moves to another claim, if one does. */
async function replay(inbox: Inbox, id: string): Promise<readonly Move[]> {
  const before = await inbox.get(id)
  await inbox.replay(id)
  if (before?.takenBy === undefined || replayOf(before) !== 'moves') return []
  const move = { from: before.takenBy, to: id }
  if (before.kind === 'delivery') return [move]
  // This process has no webhook to parse the conflict: only the recorded claim says whether it is a success.
  const claim = (await inbox.get(id))?.claims.find((each) => each.id === id)
  return claim?.status === 'success' ? [move] : []
}

function statsCommand(io: Io): Command {
  return storageCommand('stats', 'Counts callbacks by outcome and deliveries by state.')
    .option('--days <n>', 'also count the conversions of each of the last n days', wholeNumber(1, 366))
    .action((storage: string, { days, ...options }: CommonOptions & { days?: number }) =>
      withInbox(io, storage, options, async (inbox) => {
        const stats = await inbox.stats({ days })
        return { json: stats, lines: statsLines(stats) }
      }),
    )
}

function pruneCommand(io: Io): Command {
  return storageCommand(
    'prune',
    'Deletes the parameters of conversions that settled long ago. Repeats of them are still duplicates.',
  )
    .requiredOption(
      '--older-than-days <n>',
      'only conversions that settled more than n days ago',
      wholeNumber(0, 100_000),
    )
    .option('--yes', 'do not ask')
    .action((storage: string, { olderThanDays, ...options }: AskingOptions & { olderThanDays: number }) =>
      withInbox(io, storage, options, async (inbox) => {
        await confirm(io, options, `Delete the parameters of what settled more than ${figure(olderThanDays)} days ago?`)
        const result = await inbox.prune({ olderThanDays })
        return { json: result, lines: [`Deleted the parameters of ${figure(result.pruned)} records.`] }
      }),
    )
}

function eraseCommand(io: Io): Command {
  return storageCommand(
    'erase',
    'Deletes the parameters of every conversion that mentions an address. Repeats of them are still duplicates.',
  )
    .requiredOption('--email <address>', 'the address to erase', address)
    .option('--yes', 'do not ask')
    .action((storage: string, { email, ...options }: AskingOptions & { email: string }) =>
      withInbox(io, storage, options, async (inbox) => {
        await confirm(io, options, `Erase everything that mentions ${email}?`)
        const { erased, waiting } = await inbox.erase({ email })
        const left = waiting.map((id) => `Not erased yet, since a delivery waits: ${id}`)
        const problem = waiting.length > 0 ? 'erase again when these deliveries have settled' : undefined
        return { json: { erased, waiting }, lines: [`Erased ${figure(erased)}.`, ...left], problem }
      }),
    )
}

function address(text: string): string {
  if (!text.includes('@')) throw new InvalidArgumentError('Expected an e-mail address.')
  return text
}

/** Throws unless `--yes` is given or the person at the terminal answers yes. */
async function confirm(io: Io, { yes }: AskingOptions, question: string): Promise<void> {
  if (yes) return
  if (io.ask === undefined) throw usage('the input is no terminal, so nobody can confirm: add --yes')
  const answer = await io.ask(`${question} (yes/no) `)
  if (!/^y(es)?$/i.test(answer.trim())) throw failure('nothing was changed')
}
