/*
 * One process of bench/parse.mjs: runs all parsers over the whole corpus in turns, and prints microseconds a query by group.
 * First checks that all parsers make the same conversions: otherwise their times could not be compared.
 */
import assert from 'node:assert/strict'
import { parseCallback } from 'conversion-webhook'
import { corpus } from './corpus.mjs'
import { parseWithParts } from './fast-querystring-ajv.mjs'
import { parseByHand } from './floor.mjs'
import { median } from './report.mjs'

const parsers = { ours: (query) => parseCallback(query), floor: parseByHand, parts: parseWithParts }
const warmUpMs = 400
const sliceMs = 12
const rounds = 15

for (const query of Object.values(corpus).flat()) {
  const [expected, ...others] = Object.values(parsers).map((parse) => {
    const result = parse(query)
    assert.ok(result?.ok, query)
    return { ...result.conversion, receivedAt: undefined }
  })
  for (const other of others) assert.deepEqual(other, expected)
}

let made = 0 // a use of each result, so that V8 cannot optimise the measured code away

/** Microseconds a query, over whole passes of a group for about `ms`. */
function time(parse, queries, ms) {
  const start = performance.now()
  let passes = 0
  let elapsed
  do {
    for (const query of queries) made += parse(query).conversion.params.conversion.length
    passes++
    elapsed = performance.now() - start
  } while (elapsed < ms)
  return (elapsed * 1_000) / (passes * queries.length)
}

const groups = Object.entries(corpus)
for (const [, queries] of groups) for (const parse of Object.values(parsers)) time(parse, queries, warmUpMs / 2)
for (const parse of Object.values(parsers)) for (const [, queries] of groups) time(parse, queries, warmUpMs / 2)

const results = {}
for (let round = 0; round < rounds; round++) {
  for (const [group, queries] of groups) {
    for (const [name, parse] of Object.entries(parsers)) {
      results[group] ??= {}
      results[group][name] ??= []
      results[group][name].push(time(parse, queries, sliceMs))
    }
  }
}
assert.ok(made > 0)

const perRound = (pick) => Array.from({ length: rounds }, (_, round) => pick(round))
const ratio = (others, from) =>
  median(
    perRound((round) => {
      const sum = (name) => others.reduce((total, group) => total + results[group][name][round], 0)
      return sum('ours') / sum(from)
    }),
  )
const names = groups.map(([group]) => group)
console.log(
  JSON.stringify({
    microseconds: Object.fromEntries(names.map((group) => [group, median(results[group].ours)])),
    floorMicroseconds: Object.fromEntries(names.map((group) => [group, median(results[group].floor)])),
    floor: Object.fromEntries([
      ...names.map((group) => [group, ratio([group], 'floor')]),
      ['all', ratio(names, 'floor')],
    ]),
    parts: Object.fromEntries([
      ...names.map((group) => [group, ratio([group], 'parts')]),
      ['all', ratio(names, 'parts')],
    ]),
  }),
)
