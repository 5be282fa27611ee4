import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* What a server leaves in the database when it dies at a step of one conversion: proves that the steps are where their names say. */

const run = promisify(execFile)
const testSteps = hasSqlite ? test : test.skip

const nothing = { recorded: 0, reserved: 0, paid: 0, announced: 0, done: [], miscounts: [] }
const recorded = { ...nothing, recorded: 2 }
const reserved = { ...recorded, reserved: 1 }
const paid = { ...reserved, paid: 1, done: ['success'] }
const announced = { ...paid, announced: 1 }

testSteps.each(['sqlite', 'postgres'])('%s: a server dies before or after what it does at a step', async (inbox) => {
  const { stdout } = await run(process.execPath, [join(__dirname, 'steps.mjs'), '--inbox', inbox])
  expect(JSON.parse(stdout)).toEqual({
    recording: nothing,
    recorded,
    confirmed: recorded,
    reserving: recorded,
    reserved,
    handling: reserved,
    inserted: reserved,
    committing: reserved,
    committed: paid,
    announced,
    marking: announced,
    marked: { ...announced, done: ['goalComplete', 'success'] },
  })
})
