/* How long the event loop is kept from turning. */
import { clearInterval, setInterval } from 'node:timers'

const processorMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/**
 * Looks until it is stopped. Gives the longest turn of the event loop, and the most processor time that this thread took in one, in
 * milliseconds: where other processes share the machine, only the second is all ours, and it leaves out what waits for the disk.
 */
export function watchTurns() {
  let longest = 0
  let mostProcessor = 0
  let turnedAt = performance.now()
  let usedBefore = processorMs()
  const turn = setInterval(() => {
    const [now, used] = [performance.now(), processorMs()]
    longest = Math.max(longest, now - turnedAt)
    mostProcessor = Math.max(mostProcessor, used - usedBefore)
    turnedAt = now
    usedBefore = used
  }, 1)
  return {
    stop() {
      clearInterval(turn)
      return { longestTurn: longest, mostProcessorTime: mostProcessor }
    },
  }
}
