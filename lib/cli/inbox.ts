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
  readonly yes?: true
}

export function inboxCommand(io: Io): Command {
  const inbox = new Command('inbox')
    .summary('show and change an inbox')
    .description(
      'Shows and changes an inbox, also while an app has it open. No handler runs here: replay marks, and a process with handlers delivers.',
    )
    .helpCommand(false)
  for (const make of [listCommand, showCommand, replayCommand, statsCommand, pruneCommand, eraseCommand]) {
    inbox.addCommand(make(io))
  }
  return inbox
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

/**
 * A command that opens an inbox, asks the question if there is one, prints what `work` resolves with, and closes the inbox. `ids` are the
 * arguments after the storage.
 */
function storageCommand<Options extends CommonOptions>(
  io: Io,
  name: string,
  about: string,
  work: (inbox: Inbox, options: Options, ids: readonly string[]) => Promise<Printed>,
  question?: (options: Options) => string,
): Command {
  const command = new Command(name)
    .description(about)
    .argument('<storage>', 'a SQLite file, or postgres://…')
    .option('--schema <name>', 'the PostgreSQL schema (default: conversion_webhook)')
    .option('--json', 'print JSON')
  return command.action(async () => {
    const [storage = '', ...ids] = command.args
    const options = command.opts<Options>()
    const inbox = await openInbox(storage, options)
    try {
      if (question && !options.yes) await confirm(io, question(options))
      const { json, lines, notes = [], problem } = await work(inbox, options, ids)
      if (options.json) printJson(io.out, json)
      else {
        print(io.out, ...lines)
        print(io.err, ...notes)
      }
      if (problem !== undefined) throw failure(problem)
    } finally {
      await inbox.close()
    }
  })
}

interface ListOptions extends CommonOptions, Pick<InboxQuery, 'state' | 'email' | 'scope' | 'before'> {
  readonly order?: string
  readonly limit: number
}

function listCommand(io: Io): Command {
  const about = 'Lists deliveries and quarantined callbacks, the newest first.'
  return storageCommand(io, 'list', about, async (inbox, options: ListOptions) => {
    const { order: orderId, state, email, scope, limit, before } = options
    const rows = await inbox.list({ state, orderId, email, scope, limit, before })
    const last = rows.length === limit ? rows.at(-1) : undefined
    const older = last ? [`Older ones: --before ${last.id}`] : []
    return { json: rows, lines: rowLines(rows, painter(io.out, io.env)), notes: [...markLines(rows), ...older] }
  })
    .summary('list deliveries and quarantined callbacks')
    .addOption(new Option('--state <state>', 'only rows in this state').choices(states))
    .option('--order <id>', 'only rows of this order')
    .option('--email <address>', 'only rows with this referrer or referee')
    .option('--scope <scope>', 'only rows of this scope')
    .option('--limit <n>', 'at most this many rows', wholeNumber(1, 1_000), 50)
    .option('--before <id>', 'only rows older than this one: the next page')
}

function showCommand(io: Io): Command {
  const about = 'Shows one delivery or quarantined callback, and everything that happened to it.'
  return storageCommand(io, 'show', about, async (inbox, _options, [id = '']) => {
    const entry = await inbox.get(id)
    if (entry === undefined) throw failure('nothing is recorded under this id')
    return { json: entry, lines: entryLines(entry, painter(io.out, io.env)) }
  })
    .summary('show one of them, and its history')
    .argument('<id>', 'an id that list prints')
}

function replayCommand(io: Io): Command {
  const about =
    'Marks deliveries or quarantined callbacks for one more try, under the same ids. Where another claim has the order, the replay of a conflict or a refused delivery takes the order from that claim, and both may be paid.'
  return storageCommand(io, 'replay', about, async (inbox, _options, ids) => {
    const moves: Move[] = []
    for (const id of ids) moves.push(...(await replay(inbox, id)))
    const marked = `Marked ${figure(ids.length)}. A process with handlers makes the next attempt.`
    return { json: { marked: ids, moves }, lines: [marked, ...moveLines(moves)] }
  })
    .summary('mark some of them for one more try')
    .argument('<ids...>', 'ids that list prints')
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
  const about = 'Counts callbacks by outcome and deliveries by state.'
  return storageCommand(io, 'stats', about, async (inbox, { days }: CommonOptions & { days?: number }) => {
    const stats = await inbox.stats({ days })
    return { json: stats, lines: statsLines(stats) }
  })
    .summary('count callbacks and deliveries')
    .option('--days <n>', 'also count the conversions of each of the last n days', wholeNumber(1, 366))
}

type PruneOptions = CommonOptions & { readonly olderThanDays: number }

function pruneCommand(io: Io): Command {
  const about = 'Deletes the parameters of conversions that settled long ago. Repeats of them are still duplicates.'
  const question = ({ olderThanDays }: PruneOptions) =>
    `Delete the parameters of what settled more than ${figure(olderThanDays)} days ago?`
  const prune = async (inbox: Inbox, { olderThanDays }: PruneOptions): Promise<Printed> => {
    const result = await inbox.prune({ olderThanDays })
    return { json: result, lines: [`Deleted the parameters of ${figure(result.pruned)} records.`] }
  }
  const days = wholeNumber(0, 100_000)
  return storageCommand(io, 'prune', about, prune, question)
    .summary('delete the parameters of old conversions')
    .requiredOption('--older-than-days <n>', 'only conversions that settled more than n days ago', days)
    .option('--yes', 'do not ask')
}

type EraseOptions = CommonOptions & { readonly email: string }

function eraseCommand(io: Io): Command {
  const about =
    'Deletes the parameters of every conversion that mentions an address. Repeats of them are still duplicates.'
  const question = ({ email }: EraseOptions) => `Erase everything that mentions ${email}?`
  const erase = async (inbox: Inbox, { email }: EraseOptions): Promise<Printed> => {
    const { erased, waiting } = await inbox.erase({ email })
    const left = waiting.map((id) => `Not erased yet, since a delivery waits: ${id}`)
    const problem = waiting.length > 0 ? 'erase again when these deliveries have settled' : undefined
    return { json: { erased, waiting }, lines: [`Erased ${figure(erased)}.`, ...left], problem }
  }
  return storageCommand(io, 'erase', about, erase, question)
    .summary('delete the parameters that mention an address')
    .requiredOption('--email <address>', 'the address to erase', address)
    .option('--yes', 'do not ask')
}

function address(text: string): string {
  if (!text.includes('@')) throw new InvalidArgumentError('Expected an e-mail address.')
  return text
}

/** Throws unless the person at the terminal answers yes. */
async function confirm(io: Io, question: string): Promise<void> {
  if (io.ask === undefined) throw usage('the input is no terminal, so nobody can confirm: add --yes')
  const answer = await io.ask(`${question} (yes/no) `)
  if (!/^y(es)?$/i.test(answer.trim())) throw failure('nothing was changed')
}
