/*
 * A process that prunes and erases an inbox and delivers nothing: `node operator.mjs '{"inbox":"sqlite","file":…}'`. With `dieAt` the process
 * kills itself when it first reaches that step of `deaths.mjs` or `thread-deaths.mjs`.
 */
import { Death } from './deaths.mjs'
import { openInbox } from './inboxes.mjs'
import { operateOn } from './operating.mjs'

const { dieAt, ...options } = JSON.parse(process.argv[2])
operateOn(await openInbox(options, new Death(dieAt)))
process.once('disconnect', () => process.exit(1))
process.send({ isReady: true })
