%% The signed answer to a challenge (docs/reference/wire.md, sections 2.1 and 3), for tsung's `%%module:function%%`.
%% One device a process, whose key never leaves it.
-module(peers_device).
-export([connect/1]).

-define(ROLE, <<"operator">>).
-define(SCOPES, [<<"operator.read">>, <<"operator.write">>, <<"operator.admin">>, <<"operator.approvals">>, <<"operator.pairing">>]).

%% The text of the `connect` request, as the list of characters that tsung wants.
connect({_Client, Variables}) ->
    Nonce = case ts_dynvars:lookup(nonce, Variables) of
        {ok, Found} -> iolist_to_binary(ts_utils:term_to_list(Found));
        false -> <<>>
    end,
    {Id, PublicKey, PrivateKey} = device(),
    Token = list_to_binary(os:getenv("PEERS_TOKEN", "")),
    SignedAt = integer_to_binary(os:system_time(millisecond)),
    Fields = [<<"v3">>, Id, <<"cli">>, <<"cli">>, ?ROLE, lists:join($,, ?SCOPES), SignedAt, Token, Nonce, <<"linux">>, <<>>],
    Signature = crypto:sign(eddsa, none, iolist_to_binary(lists:join($|, Fields)), [PrivateKey, ed25519]),
    binary_to_list(iolist_to_binary([
        <<"{\"type\":\"req\",\"id\":\"1\",\"method\":\"connect\",\"params\":{\"minProtocol\":3,\"maxProtocol\":4,">>,
        <<"\"client\":{\"id\":\"cli\",\"version\":\"1.0.0\",\"platform\":\"linux\",\"mode\":\"cli\"},">>,
        <<"\"role\":\"operator\",\"scopes\":[">>, lists:join($,, [[$", Scope, $"] || Scope <- ?SCOPES]), <<"],">>,
        <<"\"caps\":[],\"auth\":{\"token\":\"">>, Token, <<"\"},\"locale\":\"en-US\",\"userAgent\":\"peers/1.0\",">>,
        <<"\"device\":{\"id\":\"">>, Id, <<"\",\"publicKey\":\"">>, base64url(PublicKey),
        <<"\",\"signature\":\"">>, base64url(Signature), <<"\",\"signedAt\":">>, SignedAt,
        <<",\"nonce\":\"">>, Nonce, <<"\"}}}">>
    ])).

%% Made by whoever asks first: two that ask at once may make two, which does no harm.
device() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            {PublicKey, PrivateKey} = crypto:generate_key(eddsa, ed25519),
            Id = string:lowercase(binary:encode_hex(crypto:hash(sha256, PublicKey))),
            persistent_term:put(?MODULE, {Id, PublicKey, PrivateKey}),
            persistent_term:get(?MODULE);
        Device -> Device
    end.

base64url(Raw) ->
    Text = base64:encode(Raw),
    << <<(case C of $+ -> $-; $/ -> $_; _ -> C end)>> || <<C>> <= Text, C =/= $= >>.
