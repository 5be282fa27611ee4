import { existsSync, readFileSync } from 'node:fs'
import { friendOf } from './shop.mjs'

/** The lines that handlers without `commit` wrote, in order: `{ pid, what, number, claim }`. */
export function announcements(log) {
  if (!existsSync(log)) return []
  const lines = readFileSync(log, 'utf8').trim().split('\n')
  return lines.map((line) => {
    const [pid, what, number, claim] = line.split(' ')
    return { pid: Number(pid), what, number, claim }
  })
}

/** The default concurrency: at most this many handlers were running when a process was killed. */
const concurrency = 10

/** Returns a function that says whether a handler was among the last that a killed process had started. */
export function ranAtKill(announced, killed) {
  const started = Map.groupBy(
    announced.filter(({ what }) => what === 'starts'),
    ({ pid }) => pid,
  )
  return (pid, number) =>
    killed.has(pid) &&
    started
      .get(pid)
      .slice(-2 * concurrency)
      .some((start) => start.number === number)
}

const byNumber = (all) => Map.groupBy(all, ({ number }) => number)
const naming = (numbers) => (numbers.length > 5 ? `${numbers.slice(0, 5)} …` : String(numbers))

/**
 * Compares the payments with the answers. `rewards` were paid through `commit`, `announced` without. `mayRepeat` says whether an effect that a
 * process made without `commit` may have been repeated.
 */
export function judge({ taken, conflicts, rewards, announced, shop, mayRepeat }) {
  const paid = byNumber(rewards)
  const done = byNumber(announced.filter(({ what }) => what === 'did'))
  const isBound = shop === 'bound'
  const owed = new Set(taken.filter(({ who }) => !isBound || who === 'honest').map(({ number }) => String(number)))

  const lost = [...owed].filter((number) => !paid.has(number) || !done.has(number))
  const doubled = [...paid].filter(([, all]) => all.length > 1).map(([number]) => number)
  const touched = [...byNumber([...rewards, ...announced])]
  const contested = touched
    .filter(([, all]) => new Set(all.map(({ claim }) => claim)).size > 1)
    .map(([number]) => number)
  const stolen = rewards.filter(({ number, referrer }) => isBound && referrer !== friendOf(number))
  const turnedAway = conflicts.filter(({ who }) => isBound && who === 'honest')
  const repeated = [...done].filter(([, all]) => all.length > 1)
  const strange = repeated.filter(([number, all]) => !all.slice(0, -1).every(({ pid }) => mayRepeat(pid, number)))

  const findings = {
    'answered with 200 and not paid': lost,
    'paid twice through commit': doubled,
    'paid to two claims': contested,
    'paid to another claim than the honest one': stolen.map(({ number }) => number),
    'a conflict for the honest sender': turnedAway.map(({ number }) => number),
    'announced twice without a kill while the handler ran': strange.map(([number]) => number),
  }
  return {
    problems: Object.entries(findings)
      .filter(([, numbers]) => numbers.length > 0)
      .map(([what, numbers]) => `${numbers.length} orders were ${what}: ${naming(numbers)}`),
    summary: {
      owed: owed.size,
      paid: paid.size,
      lost: lost.length,
      doubled: doubled.length,
      ordersWithTwoPaidClaims: contested.length,
      robbed: strange.length,
      effectsElsewhere: done.size,
      effectsElsewhereTwice: repeated.length,
    },
  }
}
