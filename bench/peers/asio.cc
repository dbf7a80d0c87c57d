// asio.cc - Boost.Asio's thread_pool as a native contender.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/defer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "bench/peers/peer.h"

namespace
{

void *start(unsigned workers)
{
	return new boost::asio::thread_pool(workers);
}

void stop(void *pool)
{
	auto *asio = static_cast<boost::asio::thread_pool *>(pool);

	asio->join();
	delete asio;
}

/* defer is post with a hint that the caller goes on: from inside a call it takes no lock. */
bool post(void *pool, void (*fn)(void *arg), void *arg)
{
	boost::asio::defer(*static_cast<boost::asio::thread_pool *>(pool), [fn, arg] { fn(arg); });
	return true;
}

const peer_post asio = {{"asio", start, stop}, post, false};

} // namespace

int main(int argc, char **argv)
{
	peer_add_post(&asio);
	return peer_main(argc, argv);
}
