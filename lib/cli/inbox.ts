import { Command, InvalidArgumentError, Option } from 'commander'
import type { Inbox, InboxState } from 'conversion-webhook'
import { wholeNumber } from './arguments.js'
import { replayOf } from '../inspector/claims.js'
import { entryLines, markLine, moveLines, rowLines, statsLines, type Move } from './inbox-views.js'
import { failure, figure, painter, printJson, printLine, usage, type Io } from './io.js'
import { openInbox } from './storage.js'

const states = ['waiting', 'running', 'done', 'dead', 'withdrawn', 'refused', 'conflict'] satisfies InboxState[]

interface CommonOptions {
  readonly schema?: string
  readonly json?: true
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

/** Opens an inbox for `work`, and closes it. */
async function withInbox(
  storage: string,
  options: CommonOptions,
  work: (inbox: Inbox) => Promise<void>,
): Promise<void> {
  const inbox = await openInbox(storage, options)
  try {
    await work(inbox)
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
    .action(async (storage: string, options: ListOptions) => {
      const { order: orderId, state, email, scope, limit, before, json } = options
      await withInbox(storage, options, async (inbox) => {
        const rows = await inbox.list({ state, orderId, email, scope, limit, before })
        if (json) printJson(io.out, rows)
        else for (const line of rowLines(rows, painter(io.out, io.env))) printLine(io.out, line)
        const last = rows.at(-1)
        const legend = markLine(rows)
        if (!json && legend !== undefined) printLine(io.err, legend)
        if (!json && last && rows.length === limit) printLine(io.err, `Older ones: --before ${last.id}`)
      })
    })
}

interface ListOptions extends CommonOptions {
  readonly state?: InboxState
  readonly order?: string
  readonly email?: string
  readonly scope?: string
  readonly limit: number
  readonly before?: string
}

function showCommand(io: Io): Command {
  return storageCommand(
    'show',
    'Shows one delivery or quarantined callback: what was received, and everything that happened to it.',
  )
    .argument('<id>', 'an id that list prints')
    .action(async (storage: string, id: string, options: CommonOptions) => {
      await withInbox(storage, options, async (inbox) => {
        const entry = await inbox.get(id)
        if (entry === undefined) throw failure('nothing is recorded under this id')
        if (options.json) printJson(io.out, entry)
        else for (const line of entryLines(entry, painter(io.out, io.env))) printLine(io.out, line)
      })
    })
}

function replayCommand(io: Io): Command {
  return storageCommand(
    'replay',
    'Marks deliveries or quarantined callbacks for one more try, under the same ids, so that nothing is paid twice. Where another claim has the order, the replay of a conflict or a refused delivery takes the order from that claim, and both may be paid.',
  )
    .summary('Marks deliveries or quarantined callbacks for one more try, under the same ids.')
    .argument('<ids...>', 'ids that list prints')
    .action(async (storage: string, ids: readonly string[], options: CommonOptions) => {
      await withInbox(storage, options, async (inbox) => {
        const moves: Move[] = []
        for (const id of ids) moves.push(...(await replay(inbox, id)))
        if (options.json) {
          printJson(io.out, { marked: ids, moves })
          return
        }
        printLine(io.out, `Marked ${figure(ids.length)}. A process with handlers makes the next attempt.`)
        for (const line of moveLines(moves)) printLine(io.out, line)
      })
    })
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
    .action(async (storage: string, options: CommonOptions & { days?: number }) => {
      await withInbox(storage, options, async (inbox) => {
        const stats = await inbox.stats({ days: options.days })
        if (options.json) printJson(io.out, stats)
        else for (const line of statsLines(stats)) printLine(io.out, line)
      })
    })
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
    .action(async (storage: string, options: CommonOptions & { olderThanDays: number; yes?: true }) => {
      const { olderThanDays } = options
      await withInbox(storage, options, async (inbox) => {
        await confirm(io, options, `Delete the parameters of what settled more than ${figure(olderThanDays)} days ago?`)
        const pruned = await inbox.prune({ olderThanDays })
        if (options.json) printJson(io.out, pruned)
        else printLine(io.out, `Deleted the parameters of ${figure(pruned.pruned)} records.`)
      })
    })
}

function eraseCommand(io: Io): Command {
  return storageCommand(
    'erase',
    'Deletes the parameters of every conversion that mentions an address. Repeats of them are still duplicates.',
  )
    .requiredOption('--email <address>', 'the address to erase', address)
    .option('--yes', 'do not ask')
    .action(async (storage: string, options: CommonOptions & { email: string; yes?: true }) => {
      await withInbox(storage, options, async (inbox) => {
        await confirm(io, options, `Erase everything that mentions ${options.email}?`)
        const { erased, waiting } = await inbox.erase({ email: options.email })
        if (options.json) printJson(io.out, { erased, waiting })
        else {
          printLine(io.out, `Erased ${figure(erased)}.`)
          for (const id of waiting) printLine(io.out, `Not erased yet, since a delivery waits: ${id}`)
        }
        if (waiting.length > 0) throw failure('erase again when these deliveries have settled')
      })
    })
}

function address(text: string): string {
  if (!text.includes('@')) throw new InvalidArgumentError('Expected an e-mail address.')
  return text
}

/** Throws unless `--yes` is given or the person at the terminal answers yes. */
async function confirm(io: Io, { yes }: { readonly yes?: true }, question: string): Promise<void> {
  if (yes) return
  if (io.ask === undefined) throw usage('the input is no terminal, so nobody can confirm: add --yes')
  const answer = await io.ask(`${question} (yes/no) `)
  if (!/^y(es)?$/i.test(answer.trim())) throw failure('nothing was changed')
}
