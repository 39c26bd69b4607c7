// greet.cpp: ordinary C++: strings, exceptions, streams. /greet?name=Ada is answered
// with "Hello, Ada!"; a request without a usable name gets a 400 that says what was
// wrong.
#include "kvm_api.h"
#include <cctype>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace
{

// The value of (key) in the query of (url). Throws std::invalid_argument if it is
// missing.
std::string parameter(const std::string &url, const std::string &key)
{
    const auto question = url.find('?');
    std::istringstream query(question == std::string::npos ? ""
                                                           : url.substr(question + 1));
    for (std::string pair; std::getline(query, pair, '&');)
        if (pair.compare(0, key.size() + 1, key + "=") == 0)
            return pair.substr(key.size() + 1);
    throw std::invalid_argument("expected ?" + key + "=...");
}

// (name) if it is one. Throws std::invalid_argument for anything but letters and
// digits.
std::string checked(std::string name)
{
    for (const unsigned char c : name)
        if (!std::isalnum(c))
            throw std::invalid_argument("a name has letters and digits only");
    if (name.empty())
        throw std::invalid_argument("a name has at least one letter");
    return name;
}

void on_get(const char *url, const char *)
{
    std::ostringstream text;
    int16_t status = 200;
    try {
        const std::string name = checked(parameter(url, "name"));
        text << "Hello, " << name << "!\n";
    } catch (const std::invalid_argument &problem) {
        status = 400;
        text << problem.what() << '\n';
    }
    backend_response_str(status, "text/plain", text.str().c_str());
}

} // namespace

int main()
{
    std::cout << "greet is ready" << std::endl;
    set_backend_get(on_get);
    wait_for_requests();
}
